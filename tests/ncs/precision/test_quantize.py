"""`ncs quantize`: INT8 that runs as INT8, answers nearly as float32 does, and says what it cost."""

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


def database(path, pictures, labels):
    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(write=True) as writer:
        for number, (picture, label) in enumerate(zip(pictures, labels)):
            writer.put(b"%04d" % number, datum.encode(picture, int(label)))
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A net, plain and with its mean folded in; a database whose labels are what the net says in float32, a fifth of them not."""
    folder = tmp_path_factory.mktemp("int8")
    prototxt, weights = caffe_nets.tiny(folder, TEXT, scale=None)
    transform = Transform(size=(16, 16), mean=[100, 110, 120], scale=0.02)
    names = list("abcde")
    for stem, bytes_in in (("net", False), ("bytes", True)):
        model = Model(stem, prototxt, weights, transform, names)
        compile_models([(model, str(folder / stem))], Options(blob=False, bytes_in=bytes_in), say=lambda text: None)
    random = np.random.RandomState(4)
    pictures = random.randint(0, 256, (90, 3, 4, 4), np.uint8).repeat(4, 2).repeat(4, 3)
    with open_runner("CPU", folder / "net.json") as runner:
        answers = runner.run(transform.planes(list(pictures))).argmax(1)
    labels = np.where(np.arange(90) % 5, answers, (answers + 1) % 5)
    database(folder / "train", pictures[:60], labels[:60])
    database(folder / "test", pictures[60:], labels[60:])
    return folder


@pytest.mark.parametrize("name", ["net", "bytes"])
def test_int8_answers_nearly_as_float32(folder, name, tmp_path, capsys):
    stem = str(tmp_path / (name + "_int8"))
    arguments = ["--lmdb", str(folder / "train"), "--count", "40", "--test", str(folder / "test"), "-o", stem]
    assert main(["quantize", str(folder / (name + ".json")), *arguments]) == 0
    said = capsys.readouterr().out
    assert f"{name}: 40 records of " in said
    assert "30 pictures of %s: accuracy 80.00 %% in float32, " % (folder / "test") in said
    found = Manifest.read(stem + ".json")
    assert set(found.artefacts) == {"xml", "bin"} and found.verify() == [] and found.name == name + "_int8"
    assert found.labels == list("abcde") and found.transform == Manifest.read(folder / (name + ".json")).transform
    accuracy = found.measured["accuracy"]
    assert accuracy["float32"] == pytest.approx(0.8) and accuracy["pictures"] == 30
    assert abs(accuracy["int8"] - 0.8) * 30 <= accuracy["flips"] + 1e-6 and accuracy["flips"] <= 3
    assert found.measured["calibration"]["records"] == 40 and "nncf" in found.tools
    pictures = np.random.RandomState(9).randint(0, 256, (8, 3, 4, 4), np.uint8).repeat(4, 2).repeat(4, 3)
    blob = found.transform.planes(list(pictures))
    results = []
    for path in (folder / (name + ".json"), stem + ".json"):
        with open_runner("CPU", path, counters=True) as runner:
            results.append(runner.run(blob))
            kinds = {node: kind for node, kind, _ in runner.profile(blob[:1])}
    np.testing.assert_allclose(results[1], results[0], atol=0.1)
    assert kinds and executed(stem + ".xml") >= {"conv1", "conv2"}


def executed(path):
    """Names of the layers that the CPU computes with INT8 weights, by its own account."""
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = set()
    for node in compiled.get_runtime_model().get_ops():
        facts = {
            key: value.astype(str) if hasattr(value, "astype") else str(value)
            for key, value in node.get_rt_info().items()
        }
        if facts["layerType"] == "Convolution" and facts["runtimePrecision"] in ("u8", "i8"):
            found.update(name.split("/")[0].split(":")[0] for name in facts["originalLayersNames"].split(","))
    return found


def test_without_a_test_database_the_other_records_judge(folder, tmp_path, capsys):
    stem = str(tmp_path / "x")
    assert (
        main(["quantize", str(folder / "net.json"), "--lmdb", str(folder / "train"), "--count", "50", "-o", stem]) == 0
    )
    assert "10 pictures of" in capsys.readouterr().out
    assert (
        main(["quantize", str(folder / "net.json"), "--lmdb", str(folder / "train"), "--count", "60", "-o", stem]) == 1
    )
    assert "has no records but those that calibrate" in capsys.readouterr().err


def test_too_great_a_loss_writes_nothing(folder, tmp_path, monkeypatch, capsys):
    """Calibrated with pictures of another world, it would clip; here the loss is planted in what is judged."""
    evaluate = quantize._judge

    def planted(source, transform, options):
        keys, labels, answers = evaluate(source, transform, options)
        return keys, labels, answers if isinstance(source, Manifest) else np.roll(answers, 1, 1)

    monkeypatch.setattr(quantize, "_judge", planted)
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


def test_pictures_of_another_size(folder, tmp_path, capsys):
    database(tmp_path / "other", np.zeros((2, 3, 12, 12), np.uint8), [0, 0])
    assert (
        main(["quantize", str(folder / "net.json"), "--lmdb", str(tmp_path / "other"), "-o", str(tmp_path / "x")]) == 1
    )
    assert "gives pictures of 3x12x12, 'net' takes 3x16x16" in capsys.readouterr().err


def test_where_nncf_is_not_installed(folder, monkeypatch, capsys):
    load = builtins.__import__

    def without(name, *rest):
        if name == "nncf":
            raise ImportError("No module named 'nncf'")
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["quantize", str(folder / "net.json"), "--lmdb", str(folder / "train")]) == 1
    assert "pip install 'caffe2ncs[int8]'" in capsys.readouterr().err


def test_nothing_is_reported_to_anybody(folder, tmp_path):
    """Both tools would note an identity for their reports in the home folder, at the latest when they send the first."""
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
    done = subprocess.run(
        [sys.executable, "-c", code, *names], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not (home / "intel").exists()
    assert json.loads((tmp_path / "x.json").read_text())["measured"]["accuracy"]["pictures"] == 52


def test_labels_that_are_not_the_nets_classes_give_no_accuracy(folder, tmp_path, capsys):
    """Classes of which the net has none, or a net that tells years, as those of a record with several labels."""
    pictures = np.random.RandomState(4).randint(0, 256, (50, 3, 16, 16), np.uint8)
    other = database(tmp_path / "other", pictures, [7] * 50)
    command = ["quantize", str(folder / "net.json"), "--lmdb", other, "--count", "40", "-o", str(tmp_path / "x")]
    assert main(command) == 0
    assert f"10 pictures of {other}: their labels are not this net's classes; " in capsys.readouterr().out
    assert Manifest.read(tmp_path / "x.json").measured["accuracy"]["int8"] is None
    assert main([*command, "--max-accuracy-drop", "1"]) == 1
    assert "no loss of accuracy can be held to a limit" in capsys.readouterr().err
    found = compare.survey(["a", "b"], [0, 1], np.eye(2), np.eye(2), "expectation")
    assert found.expected_accuracy is None and "the labels are not this net's classes; 0 flip" in compare.survey_text(
        found
    )
