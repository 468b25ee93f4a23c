"""HDF5Output: the file contains what the bottoms held."""

import h5py
import numpy as np
import pytest
from support.layer_nets import net_of

from caffe.errors import CaffeError

TEXT = """layer { name: "i" type: "Input" top: "x" top: "y"
    input_param { shape { dim: 2 dim: 3 } shape { dim: %d } } }
  layer { name: "o" type: "HDF5Output" bottom: "x" bottom: "y" hdf5_output_param { file_name: "%s" } }"""


def test_every_forward_appends_its_rows(tmp_path):
    path = tmp_path / "out.h5"
    net = net_of(TEXT % (2, path))
    x, y = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32), np.arange(4, dtype=np.float32)
    for part in (slice(0, 2), slice(2, 4)):
        net.blobs["x"].data[...], net.blobs["y"].data[...] = x[part], y[part]
        net.forward()
        with h5py.File(path, "r") as file:  # complete after each forward
            assert np.array_equal(file["data"][...], x[: part.stop, :, None, None])
            assert np.array_equal(file["label"][...], y[: part.stop, None, None, None])
    net.backward()
    net = net_of(TEXT % (2, path))
    with h5py.File(path, "r") as file:  # unchanged before the first forward
        assert np.array_equal(file["data"][...], x[..., None, None])
    net.forward()
    with h5py.File(path, "r") as file:
        assert np.array_equal(file["data"][...], np.zeros((2, 3, 1, 1)))


@pytest.mark.parametrize("kind", ["text", "other HDF5", "folder"])
def test_other_files_are_not_replaced(tmp_path, kind):
    path = tmp_path / "mine"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("mine")
    else:
        with h5py.File(path, "w") as file:
            file["weights"] = np.ones(3)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(CaffeError, match="it is not replaced"):
        net_of(TEXT % (2, path))
    assert path.is_dir() if kind == "folder" else path.read_bytes() == before
    assert not (tmp_path / "free").exists()


def test_building_the_net_writes_nothing(tmp_path):
    net_of(TEXT % (2, tmp_path / "free"))
    assert list(tmp_path.iterdir()) == []


def test_output_is_readable_by_hdf5_data(tmp_path):
    path = tmp_path / "out.h5"
    net = net_of(TEXT % (2, path))
    net.blobs["x"].data[...] = 7
    net.forward()
    (tmp_path / "list").write_text(str(path))
    back = net_of(
        'layer { name: "h" type: "HDF5Data" top: "data" '
        f'hdf5_data_param {{ source: "{tmp_path}/list" batch_size: 2 }} }}'
    )
    assert np.array_equal(back.forward()["data"], np.full((2, 3, 1, 1), 7.0))


def test_invalid_inputs_raise(tmp_path):
    with pytest.raises(CaffeError, match="same batch size"):
        net_of(TEXT % (3, tmp_path / "out.h5"))
    with pytest.raises(CaffeError, match="none' does not exist"):
        net_of(TEXT % (2, tmp_path / "none" / "out.h5"))
    with pytest.raises(CaffeError, match="file_name"):
        net_of(TEXT % (2, ""))
