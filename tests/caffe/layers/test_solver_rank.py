"""Data and HDF5Data of one of several solvers (TestSkip of Caffe's data_layer and hdf5_data_layer tests)."""

import h5py
import numpy as np
import pytest

import caffe
from caffe.core import config
from caffe.data import datum
from caffe.data.db import create_db
from caffe.errors import CaffeError


@pytest.fixture(autouse=True)
def one_solver():
    yield
    config.set_solver_count(1)
    config.set_solver_rank(0)


@pytest.fixture(params=["Data", "HDF5Data"])
def source(request, tmp_path):
    """A net that reads eleven records 0..10, in batches of 3."""
    if request.param == "Data":
        with create_db(tmp_path / "db", "lmdb") as writer:
            for i in range(11):
                writer.put(b"%03d" % i, datum.encode(np.full((1, 1, 1), i, np.uint8), i))
        text = f'type: "Data" data_param {{ source: "{tmp_path}/db" batch_size: 3 backend: LMDB }}'
    else:
        for name, rows in (("a", range(4)), ("b", range(4, 11))):
            with h5py.File(tmp_path / f"{name}.h5", "w") as file:
                file["x"] = file["t"] = np.array(rows, np.float32)
        (tmp_path / "list").write_text(f"{tmp_path}/a.h5\n{tmp_path}/b.h5\n")
        text = f'type: "HDF5Data" hdf5_data_param {{ source: "{tmp_path}/list" batch_size: 3 }}'
    (tmp_path / "n.prototxt").write_text(f'layer {{ name: "d" top: "x" top: "t" {text} }}')
    return str(tmp_path / "n.prototxt")


def read(source, phase, batches=9):
    net = caffe.Net(source, phase)
    rows = []
    for _ in range(batches):
        net.forward()
        rows += net.blobs["t"].data.ravel().tolist()
    return rows


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_a_solver_reads_its_share(source, count):
    caffe.set_solver_count(count)
    for rank in range(count):
        caffe.set_solver_rank(rank)
        expected = [(rank + k * count) % 11 for k in range(27)]  # data_layer.cpp: offset % count == rank
        assert read(source, caffe.TRAIN) == expected
        assert read(source, caffe.TEST) == [k % 11 for k in range(27)]


def test_the_rank_must_be_below_the_count(source):
    caffe.set_solver_rank(2)
    with pytest.raises(CaffeError, match="solver rank 2"):
        read(source, caffe.TRAIN, 1)
