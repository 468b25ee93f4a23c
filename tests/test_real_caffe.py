"""Comparison with real Caffe (kendryte-caffe): AgeNet's snapshots in both directions, and ten steps of training.

It needs Python 3.8; pip creates the environment once in the package's cache folder, and without it the tests are
skipped. The recorded outputs of real Caffe (tests/golden) are tested in any case.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from support import older_python
from support.checkout import ROOT

import caffe
from caffe.proto import text
from caffe.proto.read import read_net
from caffe.weights import snapshot

PACKAGES = ["kendryte-caffe", "protobuf==3.20.3", "numpy<1.25", "scikit-image", "six"]
DEPLOY = str(ROOT / "prototxt" / "AgeNet_deploy.prototxt")

FORWARD = """
import sys, numpy as np, caffe
net = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)
net.blobs["data"].data[...] = np.load(sys.argv[3])
np.save(sys.argv[4], net.forward()["prob"])
net.save(sys.argv[5])
"""

TRAIN = """
import sys, numpy as np, caffe
solver = caffe.get_solver(sys.argv[1])
solver.net.copy_from(sys.argv[2])
data, losses = np.load(sys.argv[3]), []
for images, labels in zip(data["images"], data["labels"]):
    solver.net.blobs["data"].data[...] = images
    solver.net.blobs["label"].data[...] = labels
    solver.step(1)
    losses.append(float(solver.net.blobs["loss"].data))
np.save(sys.argv[4], losses)
solver.net.save(sys.argv[5])
"""


@pytest.fixture(scope="module")
def real():
    """A function that runs a program with real Caffe."""
    python = older_python.environment("kendryte-caffe", ["3.8"], PACKAGES)
    return lambda code, *arguments: run(python, code, *arguments)


def run_ours(code, *arguments):
    """Run a program with this package's Caffe."""
    run(sys.executable, code, *arguments)


def run(python, code, *arguments):
    """Run a program with the `caffe` that `python` imports."""
    environment = dict(os.environ, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python", GLOG_minloglevel="2")
    environment.pop("PYTHONPATH", None)
    result = subprocess.run([python, "-c", code, *map(str, arguments)], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr


def test_agenet_snapshots_are_exchanged_in_both_directions(real, tmp_path):
    caffe.set_random_seed(11)
    caffe.Net(DEPLOY, caffe.TEST).save(str(tmp_path / "ours.caffemodel"))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(0, 60, (1, 3, 227, 227)).astype(np.float32))
    names = ("ours.caffemodel", "x.npy", "real.npy", "real.caffemodel")
    real(FORWARD, DEPLOY, *(tmp_path / name for name in names))
    for model in ("ours.caffemodel", "real.caffemodel"):
        run_ours(FORWARD, DEPLOY, *(tmp_path / name for name in (model, "x.npy", "out.npy", "saved.caffemodel")))
        assert np.abs(np.load(tmp_path / "out.npy") - np.load(tmp_path / "real.npy")).max() < 1e-5


def test_ten_steps_with_a_learning_rate_drop_give_the_same_weights(real, tmp_path):
    (tmp_path / "net.prototxt").write_text(small_agenet())
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 0.01 lr_policy: "step" gamma: 0.1 stepsize: 5 momentum: 0.9 '
        f'weight_decay: 0.0005 max_iter: 10 display: 0 snapshot_prefix: "{tmp_path}/s" solver_mode: CPU'
    )
    caffe.set_random_seed(12)
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN).save(str(tmp_path / "start.caffemodel"))
    rng = np.random.default_rng(1)
    np.savez(
        tmp_path / "data.npz",
        images=rng.normal(0, 60, (10, 4, 3, 67, 67)).astype(np.float32),
        labels=rng.integers(0, 9, (10, 4)).astype(np.float32),
    )
    results = []
    for name, run_program in (("real", real), ("ours", run_ours)):
        files = [tmp_path / (name + suffix) for suffix in (".npy", ".caffemodel")]
        run_program(TRAIN, tmp_path / "solver.prototxt", tmp_path / "start.caffemodel", tmp_path / "data.npz", *files)
        results.append((np.load(files[0]), snapshot.read_weights(str(files[1]))))
    (expected_losses, expected_weights), (losses, weights) = results
    assert np.abs(expected_losses - losses).max() < 1e-5
    for layer, arrays in expected_weights.items():
        for expected, received in zip(arrays, weights[layer]):
            assert np.abs(np.asarray(expected) - np.asarray(received)).max() < 1e-5, layer


def small_agenet():
    """AgeNet without dropout for batches of four 67x67 images, with an Input layer."""
    net = read_net(str(ROOT / "prototxt" / "AgeNet_train_test.prototxt")).param
    layers = [layer for layer in net.layer if layer.type not in ("Data", "Dropout", "Accuracy")]
    del net.layer[:]
    data = net.layer.add(name="data", type="Input", top=["data", "label"])
    for shape in ((4, 3, 67, 67), (4,)):
        data.input_param.shape.add().dim.extend(shape)
    net.layer.extend(layers)
    return text.format(net)
