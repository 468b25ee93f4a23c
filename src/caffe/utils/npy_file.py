"""Read .npy files: one clear error for anything else. Runs on the device (Python 3.7)."""

from __future__ import annotations

import functools
import io
import lzma
import operator
import os
import struct
import tokenize
import zipfile
import zlib
from typing import BinaryIO

import numpy as np

from caffe.errors import CaffeError
from caffe.utils.input_file import shown

# Everything that NumPy's readers of .npy and .npz, the zip module and unexpected values raise on a damaged file.
DAMAGED = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError, RuntimeError, MemoryError),
    *(EOFError, SyntaxError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


def read_npy(path: str | os.PathLike) -> np.ndarray:
    """Return the array in a .npy file; raises CaffeError, without reserving memory, if the file is too short."""
    try:
        with open(path, "rb") as stream:
            return _read(stream, os.fstat(stream.fileno()).st_size)
    except DAMAGED as error:
        raise CaffeError(f"{shown(path)}: {_reason(error)}") from None


def parse_npy(data: bytes, name: str) -> np.ndarray:
    """Return the array in the bytes of a .npy file; `name` begins the message of a CaffeError."""
    try:
        return _read(io.BytesIO(data), len(data))
    except DAMAGED as error:
        raise CaffeError(f"{name}: {_reason(error)}") from None


def _read(stream: BinaryIO, size: int) -> np.ndarray:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"unknown version {version[0]}.{version[1]}")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(stream)
    expected = functools.reduce(operator.mul, shape, 1) * dtype.itemsize  # math.prod needs Python 3.8
    if dtype.hasobject:
        raise ValueError("it contains Python objects, which are not read")
    if min(shape, default=0) < 0 or stream.tell() + expected > size:
        raise ValueError(f"an array of shape {shape} needs {expected} bytes, received {size - stream.tell()}")
    stream.seek(0)
    return np.load(stream, allow_pickle=False)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"not an array in NumPy's format (.npy): {shown(str(error)) or type(error).__name__}"
