"""The examples run as in their READMEs, with fewer images: make_data.py, `caffe train`, and a check of the result."""

import re
import runpy
import subprocess
import sys

import pytest
from support.checkout import ROOT

import caffe
from caffe import tools
from caffe.weights.snapshot import read_weights

NAMES = ("lenet", "cifar10", "siamese", "autoencoder")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with examples/ in it, and nothing else."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(folder, name, iterations, images=1000):
    """Make the data, train as in the README, and return the run log."""
    command = [sys.executable, f"examples/{name}/make_data.py", f"--train={images}", "--test=200"]
    subprocess.run(command, check=True, cwd=folder)
    solver = folder / "solver.prototxt"
    text = (folder / "examples" / name / "solver.prototxt").read_text()
    solver.write_text(re.sub(r"test_iter: 10\b", "test_iter: 2", text))
    caffe.set_random_seed(1)
    assert tools.main(["train", "--solver", str(solver), f"--max_iter={iterations}", "--threads=1"]) == 0
    return next((folder / "models").rglob("*.log")).read_text()


def outputs(log, phase, name):
    """All values of an output in a log, in order."""
    return [float(v) for v in re.findall(rf"{phase} net output #\d+: {name} = ([-+.e\d]+)", log)]


def test_lenet_classifies_digits(folder):
    log = train(folder, "lenet", 100)
    assert "Test net output #0: accuracy" not in log.split("Iteration 0, lr")[1], "tested at 0 and 500 only"
    assert outputs(log, "Train", "loss")[0] > 2
    net = caffe.Net("examples/lenet/test.prototxt", caffe.TEST, weights="models/lenet/lenet_iter_100.caffemodel")
    accuracies = [float(net.forward()["accuracy"]) for _ in range(2)]
    assert sum(accuracies) / 2 > 0.85


def test_lenet_files_are_those_that_lenet_py_writes(tmp_path):
    runpy.run_path(str(ROOT / "examples" / "lenet" / "lenet.py"))["main"](tmp_path)
    for name in ("train.prototxt", "test.prototxt"):
        assert (tmp_path / name).read_text() == (ROOT / "examples" / "lenet" / name).read_text()


def test_cifar10_quick_classifies_shapes_and_colors(folder):
    train(folder, "cifar10", 50)
    assert (folder / "models/cifar10/quick_iter_50.solverstate.h5").is_file()
    net = caffe.Net("examples/cifar10/train_test.prototxt", caffe.TEST)
    net.copy_from("models/cifar10/quick_iter_50.caffemodel.h5")
    assert sum(float(net.forward()["accuracy"]) for _ in range(2)) / 2 > 0.3, "chance level is 0.1"


def test_siamese_branches_share_weights_and_the_loss_falls(folder):
    log = train(folder, "siamese", 80)
    before = outputs(log, "Test", "loss")[0]
    net = caffe.Net("examples/siamese/train_test.prototxt", caffe.TEST)
    net.copy_from("models/siamese/siamese_iter_80.caffemodel")
    after = sum(float(net.forward()["loss"]) for _ in range(2)) / 2
    assert after < 0.8 * before
    weights = read_weights("models/siamese/siamese_iter_80.caffemodel")
    for layer in ("conv1", "conv2", "ip1", "ip2", "feat"):
        for one, other in zip(weights[layer], weights[layer + "_p"]):
            assert (one == other).all()
        assert weights[layer][0].any()  # the last biases cancel out in the difference of the branches


def test_autoencoder_reconstructs_its_input(folder):
    log = train(folder, "autoencoder", 100)
    assert "Testing net (#1)" in log and "Test loss: " in log
    net = caffe.Net("examples/autoencoder/train_test.prototxt", caffe.TEST, stages=["test-on-test"])
    net.copy_from("models/autoencoder/autoencoder_iter_100.caffemodel")
    first = outputs(log, "Test", "l2_error")[0]
    assert float(net.forward()["l2_error"]) < 0.4 * first


@pytest.mark.parametrize("name", NAMES)
def test_example_has_a_readme(name):
    lines = (ROOT / "examples" / name / "README.md").read_text().splitlines()
    assert lines[0].startswith("# ") and any(f"caffe train --solver examples/{name}/" in line for line in lines)
