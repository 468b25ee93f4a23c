"""A disk with no room left: one line that names the file, nothing half-written, and the same command works once there is room.

The room is taken away by a limit on the size of files, which the kernel keeps as it keeps a full disk: writes are cut short.
"""

import os
import resource
import subprocess
import sys

import cv2
import numpy as np
import pytest

from ncs.compiler import ir
from ncs.errors import NcsError
from ncs.runtime.telemetry import import_openvino

NET = """name: "n"
layer { name: "data" type: "DummyData" top: "data" dummy_data_param { shape { dim: 4 dim: 500 } } }
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 200 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "ip" top: "loss" }
"""
SOLVER = (
    'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 2 snapshot: 2 snapshot_prefix: "s" random_seed: 1\n'
)


def run(folder, room, *command):
    """(exit status, standard error's last line) of one of caffe's verbs in `folder`, files of up to `room` bytes."""
    done = subprocess.run(
        [sys.executable, "-m", "caffe", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.fixture
def pictures(tmp_path):
    noise = np.random.default_rng(0)
    for i in range(8):
        cv2.imwrite(str(tmp_path / ("%d.png" % i)), noise.integers(0, 256, (64, 64, 3), np.uint8))
    (tmp_path / "list.txt").write_text("".join("%d.png 0\n" % i for i in range(8)))
    return tmp_path


def test_a_database(pictures):
    command = "convert_imageset", "./", "list.txt", "db"
    before = sorted(os.listdir(pictures))
    status, line = run(pictures, 40_000, *command)
    assert status == 1 and line.startswith("caffe convert_imageset: error: 'db' cannot be written as an LMDB: "), line
    assert line.endswith("is the disk full?") and sorted(os.listdir(pictures)) == before
    assert run(pictures, resource.RLIM_INFINITY, *command)[0] == 0


def test_a_mean_file(pictures):
    assert run(pictures, resource.RLIM_INFINITY, "convert_imageset", "./", "list.txt", "db")[0] == 0
    before = sorted(os.listdir(pictures))
    status, line = run(pictures, 1_000, "compute_image_mean", "db", "mean.binaryproto")
    assert (status, line) == (1, "caffe compute_image_mean: error: mean.binaryproto: File too large")
    assert sorted(os.listdir(pictures)) == before


@pytest.mark.parametrize("form, ending", [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_a_snapshot(tmp_path, form, ending):
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER + f"snapshot_format: {form}\n")
    status, line = run(tmp_path, 200_000, "train", "--solver=solver.prototxt")
    assert status == 1 and line.startswith(f"caffe train: error: s_iter_2.caffemodel{ending}: "), line
    assert "File too large" in line
    assert not [name for name in os.listdir(tmp_path) if "iter" in name]
    assert run(tmp_path, resource.RLIM_INFINITY, "train", "--solver=solver.prototxt")[0] == 0
    assert (tmp_path / ("s_iter_2.caffemodel" + ending)).exists()


def test_an_ir(tmp_path):
    openvino = import_openvino()
    from openvino import opset8

    given = opset8.parameter([1, 3], np.float32, name="data")
    model = openvino.Model([opset8.relu(given)], [given])
    with pytest.raises(NcsError, match="none/n.xml: OpenVINO cannot write it; is the disk full"):
        ir.save(model, "/proc/none/n.xml")
    ir.save(model, str(tmp_path / "n.xml"))
    assert (tmp_path / "n.bin").exists()
