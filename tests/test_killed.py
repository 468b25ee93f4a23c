"""Whatever is killed, and whenever: run again, it ends in the same files as if nothing had happened.

Building the lists, LMDBs and means are killed in their own tests; here training and compiling are.
"""

import os
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
    # the prefix is relative, so that both runs write the same name into their files
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
    for name in ("whole", "killed"):
        _prepare(tmp_path / name, tmp_path / "db")
    assert _train(tmp_path / "whole").wait() == 0
    for snapshot in (25, 100):
        child = _train(tmp_path / "killed")
        while not (tmp_path / "killed" / ("s_iter_%d.solverstate" % snapshot)).exists():
            assert child.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert _train(tmp_path / "killed").wait() == 0
    whole, killed = (read_weights(str(tmp_path / name / "s_iter_200.caffemodel")) for name in ("whole", "killed"))
    for layer, arrays in whole.items():
        for mine, theirs in zip(arrays, killed[layer]):
            assert np.array_equal(mine, theirs), layer
    states = [(tmp_path / name / "s_iter_200.solverstate").read_bytes() for name in ("whole", "killed")]
    assert states[0] == states[1]
    left = {path.name for path in (tmp_path / "killed").iterdir()} - {
        path.name for path in (tmp_path / "whole").iterdir()
    }
    assert not left


COMPILE = """
import sys
from caffe.transform import Transform
from ncs.compile import Model, Options, compile_models
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


@pytest.mark.parametrize("ending", [".onnx", ".xml", ".blob"])
def test_compiling_killed_ends_in_the_same_files(tmp_path, ending, compiled):
    import shutil

    source, expected = compiled
    for name in ("net.prototxt", "net.caffemodel"):
        shutil.copy(source / name, tmp_path / name)
    child = subprocess.Popen([sys.executable, "-c", COMPILE], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (tmp_path / "out" / ("tiny" + ending)).exists():
        assert child.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert subprocess.run([sys.executable, "-c", COMPILE], cwd=tmp_path, check=False).returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == expected


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """(folder of the sources, {file: bytes} of an undisturbed compilation); the same again gives the same bytes."""
    import caffe

    folder = tmp_path_factory.mktemp("compiled")
    (folder / "net.prototxt").write_text(NET)
    caffe.set_random_seed(3)
    caffe.Net(str(folder / "net.prototxt"), caffe.TEST).save(str(folder / "net.caffemodel"))
    subprocess.run([sys.executable, "-c", COMPILE], cwd=folder, check=True)
    return folder, {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
