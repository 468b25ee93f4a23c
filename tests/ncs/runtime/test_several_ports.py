"""Nets with several outputs and several inputs: one manifest, one inference, on every runner, against plain NumPy."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from support.caffe_nets import TWO_HEADS, TWO_INPUTS

import caffe
from caffe.device.transform import Transform
from ncs import cli
from ncs.bundle import bundle
from ncs.compiler.compile import Model, Options, compile_models
from ncs.errors import NcsError
from ncs.runtime import open_runner
from ncs.runtime.manifest import Head, Manifest
from ncs.runtime.scheduler import Scheduler

HEADS = [Head("my-gender", "gender", ["Male", "Female"], "gender-mf"), Head("my-age", "age", list("abcdefghi"))]


def compiled(folder, text, heads=(), blob=False):
    """Compile the net into `folder`; return (manifest, {layer: [weights, bias]})."""
    prototxt, weights = folder / "net.prototxt", folder / "net.caffemodel"
    prototxt.write_text(text)
    caffe.set_random_seed(3)
    net = caffe.Net(str(prototxt), caffe.TEST)
    net.save(str(weights))
    transform = Transform(size=(6, 6), mean=[10, 20, 30], scale=0.5)
    model = Model("net", str(prototxt), str(weights), transform, [], heads=heads)
    (manifest,) = compile_models([(model, str(folder / "net"))], Options(blob=blob))
    return manifest, {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}


def product(params, name, batch):
    weight, bias = params[name]
    return batch.reshape(len(batch), -1) @ weight.T + bias


@pytest.fixture(scope="module")
def two_heads(tmp_path_factory, compiler):
    return compiled(tmp_path_factory.mktemp("heads"), TWO_HEADS, HEADS, blob=True)


@pytest.fixture(scope="module")
def two_inputs(tmp_path_factory, compiler):
    return compiled(tmp_path_factory.mktemp("inputs"), TWO_INPUTS, blob=True)


@pytest.mark.parametrize("device", ["CPU", "ONNXRUNTIME", "CAFFE", "SIMULATOR"])
def test_all_outputs_come_from_one_inference(two_heads, device):
    manifest, params = two_heads
    batch = np.random.default_rng(1).uniform(-50, 50, (5, 3, 6, 6)).astype(np.float32)
    with open_runner(device, manifest) as runner:
        calls = []
        start = runner._start
        runner._start = lambda chunk: calls.append(len(chunk)) or start(chunk)
        rows = runner.run(batch)
    assert rows.shape == (5, 11) and sum(calls) == 5
    for name, columns in manifest.columns().items():
        np.testing.assert_allclose(
            rows[:, columns], product(params, name, batch), atol=0.15 if device == "SIMULATOR" else 1e-3
        )
    assert list(manifest.columns()) == ["gender", "age"]


@pytest.mark.parametrize("device", ["CPU", "ONNXRUNTIME", "CAFFE", "SIMULATOR"])
def test_all_inputs(two_inputs, device):
    manifest, params = two_inputs
    rng = np.random.default_rng(2)
    batch = {"scene": rng.uniform(-9, 9, (3, 3, 4, 8)), "face": rng.uniform(-9, 9, (3, 3, 6, 6))}
    expected = product(params, "a", batch["face"]) + product(params, "b", batch["scene"])
    with open_runner(device, manifest) as runner:
        np.testing.assert_allclose(runner.run(batch), expected, atol=0.02)
        np.testing.assert_allclose(list(runner.run_many([batch, batch])), [expected] * 2, atol=0.02)
        with pytest.raises(NcsError, match="expected a dictionary of the inputs face, scene, received one array"):
            runner.run(batch["face"])
        with pytest.raises(NcsError, match="expects images of 3x4x8, received 3x6x6"):
            runner.run({"face": batch["face"], "scene": batch["face"]})
        with pytest.raises(NcsError, match="one batch size"):
            runner.run({"face": batch["face"][:1], "scene": batch["scene"]})


def test_several_devices_share_the_batches(two_inputs):
    manifest, params = two_inputs
    batch = {"face": np.ones((4, 3, 6, 6), np.float32), "scene": np.ones((4, 3, 4, 8), np.float32)}
    with Scheduler([lambda: open_runner("CPU", manifest)] * 2) as scheduler:
        rows = scheduler.run(batch)
    np.testing.assert_allclose(
        rows, product(params, "a", batch["face"]) + product(params, "b", batch["scene"]), atol=0.02
    )


def test_a_transform_per_input(two_inputs):
    """Further inputs receive the same image at their own size."""
    manifest, _ = two_inputs
    read = Manifest.read(manifest.folder + "/net.json")
    assert [(port.name, port.shape, port.transform.size) for port in read.all_inputs()] == [
        ("face", (1, 3, 6, 6), (6, 6)),
        ("scene", (1, 3, 4, 8), (4, 8)),
    ]
    image = np.full((12, 12, 3), (12, 22, 32), np.uint8)
    for port in read.all_inputs():
        assert (port.transform.image(image) == 1).all()  # (value - mean) / 2


def test_prediction_of_two_heads_and_of_two_inputs(two_heads, two_inputs):
    from agegender.inference.net_predictor import open_heads
    from agegender.inference.predict import FacePredictor

    image = np.random.default_rng(5).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    planes = ((image.astype(np.float32) - [10, 20, 30]) / 2).transpose(2, 0, 1)[None].astype(np.float32)
    manifest, params = two_heads
    runner = open_runner("CPU", manifest)
    counts = []
    run = runner.run
    runner.run = lambda batch: counts.append(len(batch)) or run(batch)
    with FacePredictor(open_heads(manifest, runner)) as predictor:
        (prediction,) = predictor.predict_array(image).predictions
    assert counts == [1] and list(prediction.answers) == ["my-gender", "my-age"]
    assert prediction.answers["my-gender"].text == ["Male", "Female"][product(params, "gender", planes).argmax()]
    assert prediction.answers["my-age"].text == "abcdefghi"[product(params, "age", planes).argmax()]
    assert [key for key in prediction.seconds if "my-" in key] == ["my-gender and my-age"]
    manifest, params = two_inputs
    with FacePredictor(open_heads(manifest, open_runner("CPU", manifest), flip=True)) as predictor:
        (prediction,) = predictor.predict_array(np.full((6, 6, 3), 60, np.uint8)).predictions
    face = np.broadcast_to(((60 - np.array([10, 20, 30])) / 2).reshape(1, 3, 1, 1), (1, 3, 6, 6))
    scene = np.broadcast_to(face[..., :1, :1], (1, 3, 4, 8))
    expected = product(params, "a", face) + product(params, "b", scene)
    np.testing.assert_allclose(prediction.answers["net"].probabilities, expected[0], rtol=1e-4)


def test_bundle_holds_every_head(two_heads, tmp_path):
    manifest, _ = two_heads
    bundle.bundle([manifest.folder + "/net.json"], str(tmp_path / "bundle"))
    copy = Manifest.read(tmp_path / "bundle" / "graph" / "net.json")
    assert copy.all_heads() == manifest.all_heads() and set(copy.artefacts) == {"onnx", "xml", "bin", "blob"}


def test_run_and_bench_name_the_labels_of_every_output(two_heads, capsys):
    path = two_heads[0].folder + "/net.json"
    assert cli.main(["run", path, "--top", "1"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("noise: ")]
    assert {line.split()[1]: line.split()[2] in ("Male", "Female") for line in lines} == {
        "age:": False,
        "gender:": True,
    }


def test_bench_with_several_inputs(two_inputs, capsys):
    path = two_inputs[0].folder + "/net.json"
    assert cli.main(["bench", "-m", path, "-d", "CPU", "-niter", "2", "-nireq", "1"]) == 0
    assert "Throughput:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": [{"name": "x"}]}, "'heads': expected entries with name, output, labels, label_set, decoder"),
        ({"output": "age"}, "expected the first of 'heads' to be output 'age', it is 'gender'"),
        ({"inputs": [{"name": "b", "shape": [1, 3, 6, 6], "transform": {}}]}, "the first of 'inputs' to be 'data'"),
        ({"heads": 3}, "field 'heads': expected a list, received 3"),
    ],
)
def test_faults_of_a_manifest(two_heads, tmp_path, change, message):
    facts = json.loads((Path(two_heads[0].folder) / "net.json").read_text())
    (tmp_path / "net.json").write_text(json.dumps({**facts, **change}))
    with pytest.raises(NcsError, match=re.escape(message)):
        Manifest.read(tmp_path / "net.json")


def test_names_must_be_unique(two_heads):
    import dataclasses

    heads = [HEADS[0], dataclasses.replace(HEADS[1], name="my-gender")]
    with pytest.raises(NcsError, match="two heads have one name: \\['my-gender', 'my-gender'\\]"):
        dataclasses.replace(two_heads[0], heads=heads)


def test_an_output_that_the_files_lack(two_heads):
    import dataclasses

    manifest = two_heads[0]
    heads = [HEADS[0], dataclasses.replace(HEADS[1], output="height")]
    with pytest.raises(NcsError, match="'net' has no output height; it has .*: compile again"):
        open_runner("ONNXRUNTIME", dataclasses.replace(manifest, heads=heads))


def test_a_model_server_repository_has_nets_with_one_input(two_heads, two_inputs, tmp_path):
    from ncs.bundle.model_server import model_server

    model_server([two_heads[0].folder + "/net.json"], str(tmp_path / "heads"))
    with pytest.raises(NcsError, match="expected a net with one input, received face, scene"):
        model_server([two_inputs[0].folder + "/net.json"], str(tmp_path / "inputs"))
