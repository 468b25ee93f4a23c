"""`ncs quantize`: layers run in INT8, outputs are close to float32, and the accuracy is reported."""

import builtins
import json
import os
import subprocess
import sys

import lmdb
import numpy as np
import pytest
from support import caffe_nets

from caffe.data import datum
from caffe.device.transform import Transform
from ncs.cli import main
from ncs.compiler.compile import Model, Options, compile_models
from ncs.precision import compare, quantize
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

TEXT = caffe_nets.TINY.replace("dim: 8 dim: 8", "dim: 16 dim: 16").replace("num_output: 4", "num_output: 16")


def database(path, images, labels):
    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(write=True) as writer:
        for number, (image, label) in enumerate(zip(images, labels)):
            writer.put(b"%04d" % number, datum.encode(image, int(label)))
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A net without and with embedded preprocessing; databases labelled with its float32 predictions, 20 % wrong."""
    folder = tmp_path_factory.mktemp("int8")
    prototxt, weights = caffe_nets.tiny(folder, TEXT, scale=None)
    transform = Transform(size=(16, 16), mean=[100, 110, 120], scale=0.02)
    names = list("abcde")
    for stem, bytes_in in (("net", False), ("bytes", True)):
        model = Model(stem, prototxt, weights, transform, names)
        compile_models([(model, str(folder / stem))], Options(blob=False, bytes_in=bytes_in), say=lambda text: None)
    random = np.random.RandomState(4)
    images = random.randint(0, 256, (90, 3, 4, 4), np.uint8).repeat(4, 2).repeat(4, 3)
    with open_runner("CPU", folder / "net.json") as runner:
        classes = runner.run(transform.planes(list(images))).argmax(1)
    labels = np.where(np.arange(90) % 5, classes, (classes + 1) % 5)
    database(folder / "train", images[:60], labels[:60])
    database(folder / "test", images[60:], labels[60:])
    return folder


@pytest.mark.parametrize("name", ["net", "bytes"])
def test_int8_outputs_are_close_to_float32(folder, name, tmp_path, capsys):
    stem = str(tmp_path / (name + "_int8"))
    arguments = ["--lmdb", str(folder / "train"), "--count", "40", "--test", str(folder / "test"), "-o", stem]
    assert main(["quantize", str(folder / (name + ".json")), *arguments]) == 0
    output = capsys.readouterr().out
    assert f"{name}: calibrated with 40 records of " in output
    assert f"30 images of {folder / 'test'}: accuracy 80.00 % in float32, " in output
    result = Manifest.read(stem + ".json")
    assert set(result.artefacts) == {"xml", "bin"} and result.verify() == [] and result.name == name + "_int8"
    assert result.labels == list("abcde") and result.transform == Manifest.read(folder / (name + ".json")).transform
    accuracy = result.measured["accuracy"]
    assert accuracy["float32"] == pytest.approx(0.8) and accuracy["images"] == 30
    assert abs(accuracy["int8"] - 0.8) * 30 <= accuracy["flips"] + 1e-6 and accuracy["flips"] <= 3
    assert result.measured["calibration"]["records"] == 40 and "nncf" in result.tools
    images = np.random.RandomState(9).randint(0, 256, (8, 3, 4, 4), np.uint8).repeat(4, 2).repeat(4, 3)
    blob = result.transform.planes(list(images))
    outputs = []
    for path in (folder / (name + ".json"), stem + ".json"):
        with open_runner("CPU", path, counters=True) as runner:
            outputs.append(runner.run(blob))
            types = {node: node_type for node, node_type, _ in runner.profile(blob[:1])}
    np.testing.assert_allclose(outputs[1], outputs[0], atol=0.1)
    assert types and int8_layers(stem + ".xml") >= {"conv1", "conv2"}


def int8_layers(path):
    """Return the names of the layers that OpenVINO runs in INT8 on the CPU."""
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = set()
    for node in compiled.get_runtime_model().get_ops():
        info = {
            key: value.astype(str) if hasattr(value, "astype") else str(value)
            for key, value in node.get_rt_info().items()
        }
        if info["layerType"] == "Convolution" and info["runtimePrecision"] in ("u8", "i8"):
            names.update(name.split("/")[0].split(":")[0] for name in info["originalLayersNames"].split(","))
    return names


def test_remaining_records_are_evaluated_without_a_test_database(folder, tmp_path, capsys):
    stem = str(tmp_path / "x")
    assert (
        main(["quantize", str(folder / "net.json"), "--lmdb", str(folder / "train"), "--count", "50", "-o", stem]) == 0
    )
    assert "10 images of" in capsys.readouterr().out
    assert (
        main(["quantize", str(folder / "net.json"), "--lmdb", str(folder / "train"), "--count", "60", "-o", stem]) == 1
    )
    assert "has no records left for evaluation" in capsys.readouterr().err


def test_large_accuracy_drop_writes_nothing(folder, tmp_path, monkeypatch, capsys):
    """The predictions of the quantized net are replaced by wrong ones."""
    predict = quantize._predict

    def wrong_predictions(source, transform, options):
        keys, labels, outputs = predict(source, transform, options)
        return keys, labels, outputs if isinstance(source, Manifest) else np.roll(outputs, 1, 1)

    monkeypatch.setattr(quantize, "_predict", wrong_predictions)
    arguments = [
        "quantize",
        str(folder / "net.json"),
        "--lmdb",
        str(folder / "train"),
        "--count",
        "40",
        "-o",
        str(tmp_path / "x"),
        "--max-accuracy-drop",
        "5",
    ]
    assert main(arguments) == 1
    assert "by more than 5 points: nothing is written" in capsys.readouterr().err and os.listdir(tmp_path) == []


def test_images_of_another_size(folder, tmp_path, capsys):
    database(tmp_path / "other", np.zeros((2, 3, 12, 12), np.uint8), [0, 0])
    assert (
        main(["quantize", str(folder / "net.json"), "--lmdb", str(tmp_path / "other"), "-o", str(tmp_path / "x")]) == 1
    )
    assert f"'net' expects images of 3x16x16, {tmp_path / 'other'} contains 3x12x12" in capsys.readouterr().err


def test_nncf_is_not_installed(folder, monkeypatch, capsys):
    load = builtins.__import__

    def without(name, *rest):
        if name == "nncf":
            raise ImportError("No module named 'nncf'")
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["quantize", str(folder / "net.json"), "--lmdb", str(folder / "train")]) == 1
    assert "pip install 'caffe2ncs[int8]'" in capsys.readouterr().err


def test_no_telemetry_is_sent(folder, tmp_path):
    """Telemetry of OpenVINO and NNCF would create an identity in the home folder."""
    code = (
        "import sys; from ncs.cli import main; net, lmdb, prototxt = sys.argv[1:]; "
        "steps = ['bench', '-m', net, '-d', 'CPU', '-niter', '2'], ['compile', prototxt, '--no-blob'], "
        "['quantize', net, '--lmdb', lmdb, '--count', '8', '-o', 'x']; sys.exit(any(main(step) for step in steps))"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        key: value for key, value in os.environ.items() if key not in ("CI", "NNCF_CI", "TF_BUILD", "JENKINS_URL")
    }
    environment.update(HOME=str(home), PYTEST_CURRENT_TEST="")
    names = [str(folder / name) for name in ("net.json", "train", "net.prototxt")]
    result = subprocess.run(
        [sys.executable, "-c", code, *names], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert not (home / "intel").exists()
    assert json.loads((tmp_path / "x.json").read_text())["measured"]["accuracy"]["images"] == 52


def test_no_accuracy_without_matching_labels(folder, tmp_path, capsys):
    """Labels that are not classes of the net, or a net whose decoder is not argmax."""
    images = np.random.RandomState(4).randint(0, 256, (50, 3, 16, 16), np.uint8)
    other = database(tmp_path / "other", images, [7] * 50)
    command = ["quantize", str(folder / "net.json"), "--lmdb", other, "--count", "40", "-o", str(tmp_path / "x")]
    assert main(command) == 0
    assert f"10 images of {other}: the labels are not this net's classes; " in capsys.readouterr().out
    assert Manifest.read(tmp_path / "x.json").measured["accuracy"]["int8"] is None
    assert main([*command, "--max-accuracy-drop", "1"]) == 1
    assert "the drop in accuracy cannot be limited" in capsys.readouterr().err
    comparison = compare.compare_dataset(["a", "b"], [0, 1], np.eye(2), np.eye(2), "expectation")
    assert comparison.expected_accuracy is None
    assert "the labels are not this net's classes; 0 change class" in compare.format_dataset(comparison)
