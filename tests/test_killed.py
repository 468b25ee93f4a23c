"""Training and compilation that are killed and run again end in the same files as without interruption.

Other tests do the same for the data set's lists, LMDBs and means.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from support.small_solvers import database, dropout_net, solver_text

from caffe.weights.snapshot import read_weights


def _prepare(folder, db):
    folder.mkdir()
    (folder / "net.prototxt").write_text(dropout_net(db))
    # a relative prefix, so that both runs write the same name into their files
    text = solver_text(folder, snapshot=25, max_iter=200, display=0).replace(
        f'snapshot_prefix: "{folder}/s"', 'snapshot_prefix: "s"'
    )
    (folder / "solver.prototxt").write_text(text.replace("max_iter: 100", "").replace("display: 1 ", ""))


def _train(folder):
    return subprocess.Popen(
        [sys.executable, "-m", "caffe", "train", "--solver", "solver.prototxt", "--resume"],
        cwd=folder,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_training_killed_twice_ends_in_the_same_weights(tmp_path):
    database(tmp_path / "db", 23)
    for name in ("uninterrupted", "killed"):
        _prepare(tmp_path / name, tmp_path / "db")
    assert _train(tmp_path / "uninterrupted").wait() == 0
    for snapshot in (25, 100):
        child = _train(tmp_path / "killed")
        while not (tmp_path / "killed" / f"s_iter_{snapshot}.solverstate").exists():
            assert child.poll() is None, "the process ended before it could be killed"
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert _train(tmp_path / "killed").wait() == 0
    folders = expected, resumed = tmp_path / "uninterrupted", tmp_path / "killed"
    expected_weights, weights = (read_weights(str(folder / "s_iter_200.caffemodel")) for folder in folders)
    for layer, arrays in expected_weights.items():
        for array, other in zip(arrays, weights[layer]):
            assert np.array_equal(array, other), layer
    states = [(folder / "s_iter_200.solverstate").read_bytes() for folder in folders]
    assert states[0] == states[1]
    assert {path.name for path in resumed.iterdir()} <= {path.name for path in expected.iterdir()}


COMPILE = """
import sys
from caffe.device.transform import Transform
from ncs.compiler.compile import Model, Options, compile_models
model = Model("tiny", "net.prototxt", "net.caffemodel", Transform(size=(20, 20)), ["a", "b"])
compile_models([(model, "out/tiny")], Options(), say=lambda text: None)
"""

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 20 dim: 20 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 5 weight_filler { type: "gaussian" std: 0.05 } } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".blob"])
def test_compilation_killed_ends_in_the_same_files(tmp_path, suffix, compiled):
    source, expected = compiled
    for name in ("net.prototxt", "net.caffemodel"):
        shutil.copy(source / name, tmp_path / name)
    child = subprocess.Popen([sys.executable, "-c", COMPILE], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (tmp_path / "out" / ("tiny" + suffix)).exists():
        assert child.poll() is None, "the process ended before it could be killed"
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert subprocess.run([sys.executable, "-c", COMPILE], cwd=tmp_path, check=False).returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == expected


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """(folder of the source files, {file name: bytes} of an uninterrupted compilation)."""
    import caffe

    folder = tmp_path_factory.mktemp("compiled")
    (folder / "net.prototxt").write_text(NET)
    caffe.set_random_seed(3)
    caffe.Net(str(folder / "net.prototxt"), caffe.TEST).save(str(folder / "net.caffemodel"))
    subprocess.run([sys.executable, "-c", COMPILE], cwd=folder, check=True)
    return folder, {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
