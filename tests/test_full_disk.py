"""A full disk: one line names the file, no partial file remains, and the command succeeds once there is space.

A limit on the size of files simulates the full disk; the kernel truncates writes in the same way.
"""

import os
import resource
import subprocess
import sys

import cv2
import numpy as np
import pytest

from caffe.utils.telemetry import import_openvino
from ncs.compiler import ir
from ncs.errors import NcsError

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


def run(folder, max_bytes, *command):
    """(exit status, last line of standard error) of a caffe command in `folder`, with files of up to `max_bytes`."""
    result = subprocess.run(
        [sys.executable, "-m", "caffe", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, max_bytes)),
    )
    assert "Traceback" not in result.stderr
    return result.returncode, result.stderr.strip().splitlines()[-1]


@pytest.fixture
def images(tmp_path):
    noise = np.random.default_rng(0)
    for i in range(8):
        cv2.imwrite(str(tmp_path / f"{i}.png"), noise.integers(0, 256, (64, 64, 3), np.uint8))
    (tmp_path / "list.txt").write_text("".join(f"{i}.png 0\n" for i in range(8)))
    return tmp_path


def test_database(images):
    command = "convert_imageset", "./", "list.txt", "db"
    files = sorted(os.listdir(images))
    status, line = run(images, 40_000, *command)
    assert status == 1 and line.startswith("caffe convert_imageset: error: 'db' cannot be written as an LMDB: "), line
    assert line.endswith("is the disk full?") and sorted(os.listdir(images)) == files
    assert run(images, resource.RLIM_INFINITY, *command)[0] == 0


def test_mean_file(images):
    assert run(images, resource.RLIM_INFINITY, "convert_imageset", "./", "list.txt", "db")[0] == 0
    files = sorted(os.listdir(images))
    status, line = run(images, 1_000, "compute_image_mean", "db", "mean.binaryproto")
    assert (status, line) == (1, "caffe compute_image_mean: error: mean.binaryproto: File too large")
    assert sorted(os.listdir(images)) == files


@pytest.mark.parametrize("snapshot_format, suffix", [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_snapshot(tmp_path, snapshot_format, suffix):
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER + f"snapshot_format: {snapshot_format}\n")
    status, line = run(tmp_path, 200_000, "train", "--solver=solver.prototxt")
    assert status == 1 and line.startswith(f"caffe train: error: s_iter_2.caffemodel{suffix}: "), line
    assert "File too large" in line
    assert not [name for name in os.listdir(tmp_path) if "iter" in name]
    assert run(tmp_path, resource.RLIM_INFINITY, "train", "--solver=solver.prototxt")[0] == 0
    assert (tmp_path / ("s_iter_2.caffemodel" + suffix)).exists()


def test_ir(tmp_path):
    openvino = import_openvino()
    from openvino import opset8

    parameter = opset8.parameter([1, 3], np.float32, name="data")
    model = openvino.Model([opset8.relu(parameter)], [parameter])
    with pytest.raises(NcsError, match="none/n.xml: OpenVINO cannot write it; is the disk full"):
        ir.save(model, "/proc/none/n.xml")
    ir.save(model, str(tmp_path / "n.xml"))
    assert (tmp_path / "n.bin").exists()
