"""Reading .npy files: what NumPy writes, and one clear error for everything else, without reserving memory for it."""

import io
import struct
import tracemalloc

import numpy as np
import pytest

from caffe.errors import CaffeError
from caffe.utils.npy_file import parse_npy, read_npy

ARRAYS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7), np.zeros((0, 4)), np.asfortranarray(np.eye(3))]


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def with_header(text, data=b""):
    text = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_arrays_of_numpy(tmp_path, array, version):
    with open(tmp_path / "a.npy", "wb") as stream:
        np.lib.format.write_array(stream, array, version)
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), array)
    np.testing.assert_array_equal(parse_npy((tmp_path / "a.npy").read_bytes(), "x"), array)


HUGE = with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}", bytes(64))
OTHERS = {
    "empty": b"",
    "text": b"hello",
    "cut": npy(ARRAYS[0])[:-1],
    "cut header": npy(ARRAYS[0])[:40],
    "huge": HUGE,
    "negative": with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -4)}", bytes(64)),
    "token": with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (((}"),
    "objects": npy(np.array([{}, []], object)),
    "zip": b"PK\x03\x04" + bytes(60),
    "version": b"\x93NUMPY\x09\x00" + bytes(80),
    "no shape": with_header("{'descr': '<f4', 'fortran_order': False}"),
    "type": with_header("{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,)}"),
    "nested": with_header("[" * 110),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_one_error(tmp_path, name):
    (tmp_path / "a.npy").write_bytes(OTHERS[name])
    tracemalloc.start()
    try:
        with pytest.raises(CaffeError, match=r"a\.npy: not an array in NumPy's format"):
            read_npy(tmp_path / "a.npy")
        with pytest.raises(CaffeError, match="mean: not an array in NumPy's format"):
            parse_npy(OTHERS[name], "mean")
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_a_missing_file(tmp_path):
    with pytest.raises(CaffeError, match="No such file or directory"):
        read_npy(tmp_path / "none.npy")
