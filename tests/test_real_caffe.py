"""Beside real Caffe itself (kendryte-caffe, which runs as BVLC's does): AgeNet's snapshots both ways, and ten steps of training.

It needs a Python 3.8; the environment is made once, by pip, in the program's cache folder. Where there is none the tests say so;
what real Caffe computes is held without it as well (tests/golden).
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
feed, losses = np.load(sys.argv[3]), []
for pictures, labels in zip(feed["pictures"], feed["labels"]):
    solver.net.blobs["data"].data[...] = pictures
    solver.net.blobs["label"].data[...] = labels
    solver.step(1)
    losses.append(float(solver.net.blobs["loss"].data))
np.save(sys.argv[4], losses)
solver.net.save(sys.argv[5])
"""


@pytest.fixture(scope="module")
def real():
    """A function that runs a program in real Caffe."""
    python = older_python.environment("kendryte-caffe", ["3.8"], PACKAGES)
    return lambda code, *arguments: run(python, code, *arguments)


def ours(code, *arguments):
    """Run the same program in our Caffe."""
    run(sys.executable, code, *arguments)


def run(python, code, *arguments):
    """Run a program with the `caffe` that this python imports."""
    environment = dict(os.environ, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python", GLOG_minloglevel="2")
    environment.pop("PYTHONPATH", None)
    done = subprocess.run([python, "-c", code, *map(str, arguments)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_snapshots_of_agenet_go_both_ways(real, tmp_path):
    caffe.set_random_seed(11)
    caffe.Net(DEPLOY, caffe.TEST).save(str(tmp_path / "ours.caffemodel"))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(0, 60, (1, 3, 227, 227)).astype(np.float32))
    names = ("ours.caffemodel", "x.npy", "real.npy", "real.caffemodel")
    real(FORWARD, DEPLOY, *(tmp_path / name for name in names))
    for model in ("ours.caffemodel", "real.caffemodel"):
        ours(FORWARD, DEPLOY, *(tmp_path / name for name in (model, "x.npy", "out.npy", "again.caffemodel")))
        assert np.abs(np.load(tmp_path / "out.npy") - np.load(tmp_path / "real.npy")).max() < 1e-5


def test_ten_steps_across_a_rate_drop_end_in_the_same_weights(real, tmp_path):
    (tmp_path / "net.prototxt").write_text(small_agenet())
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 0.01 lr_policy: "step" gamma: 0.1 stepsize: 5 momentum: 0.9 weight_decay: 0.0005 '
        f'max_iter: 10 display: 0 snapshot_prefix: "{tmp_path}/s" solver_mode: CPU'
    )
    caffe.set_random_seed(12)
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN).save(str(tmp_path / "start.caffemodel"))
    rng = np.random.default_rng(1)
    np.savez(
        tmp_path / "feed.npz",
        pictures=rng.normal(0, 60, (10, 4, 3, 67, 67)).astype(np.float32),
        labels=rng.integers(0, 9, (10, 4)).astype(np.float32),
    )
    outcome = {}
    for name, run in (("real", real), ("ours", ours)):
        files = [tmp_path / (name + ending) for ending in (".npy", ".caffemodel")]
        run(TRAIN, tmp_path / "solver.prototxt", tmp_path / "start.caffemodel", tmp_path / "feed.npz", *files)
        outcome[name] = np.load(files[0]), snapshot.read_weights(str(files[1]))
    assert np.abs(outcome["real"][0] - outcome["ours"][0]).max() < 1e-5
    for layer, arrays in outcome["real"][1].items():
        for theirs, mine in zip(arrays, outcome["ours"][1][layer]):
            assert np.abs(np.asarray(theirs) - np.asarray(mine)).max() < 1e-5, layer


def small_agenet():
    """AgeNet without dropout on 67x67 pictures that are given by hand, four at a time."""
    net = read_net(str(ROOT / "prototxt" / "AgeNet_train_test.prototxt")).param
    layers = [layer for layer in net.layer if layer.type not in ("Data", "Dropout", "Accuracy")]
    del net.layer[:]
    data = net.layer.add(name="data", type="Input", top=["data", "label"])
    for shape in ((4, 3, 67, 67), (4,)):
        data.input_param.shape.add().dim.extend(shape)
    net.layer.extend(layers)
    return text.format(net)
