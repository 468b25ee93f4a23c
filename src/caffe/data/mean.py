"""Read and write mean images: .binaryproto as written by compute_image_mean, or .npy."""

from __future__ import annotations

import io
import os
import tokenize
from typing import Any

import numpy as np

from caffe.device.transform import Transform
from caffe.errors import CaffeError
from caffe.proto import wire_format
from caffe.utils import input_file
from caffe.utils.atomic_io import write_bytes

_NPY_MAGIC = b"\x93NUMPY"
# Exceptions of NumPy's reader for a damaged .npy file.
DAMAGED = (ValueError, LookupError, TypeError, SyntaxError, EOFError, ArithmeticError, MemoryError, tokenize.TokenError)


def read_mean(path: str | os.PathLike) -> np.ndarray:
    """Read a mean image; the format (.npy or .binaryproto) is detected from the content.

    Returns
    -------
    ndarray (C, H, W) of float32

    Raises
    ------
    CaffeError
        If the file cannot be read or is not a mean.
    """
    try:
        data = input_file.read_bytes(path)
    except CaffeError as error:
        raise CaffeError(f"mean file {error}; create one with compute_image_mean") from None
    try:
        array = _from_npy(data) if data.startswith(_NPY_MAGIC) else from_blob_proto(data)
    except DAMAGED as error:  # includes WireError
        raise CaffeError(f"mean file '{path}' is neither a BlobProto nor an .npy file: {error}") from None
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or not array.size:
        raise CaffeError(f"mean file '{path}': expected channels x height x width, received {array.shape}")
    if not np.isfinite(array).all():
        raise CaffeError(f"mean file '{path}' contains values that are not finite")
    return np.ascontiguousarray(array, np.float32)


def write_mean(path: str | os.PathLike, mean: np.ndarray) -> None:
    """Write a (C, H, W) mean atomically, as .npy if the name ends so, else as the BlobProto that Caffe writes."""
    if os.fspath(path).endswith(".npy"):
        stream = io.BytesIO()
        np.save(stream, np.ascontiguousarray(mean, np.float32), allow_pickle=False)
        write_bytes(path, stream.getvalue())
    else:
        write_bytes(path, to_blob_proto(mean))


def transform_of(param: Any, **more: Any) -> Transform:
    """Return the Transform of a layer's transform_param and read its mean_file; `more` are further Transform fields."""
    mean = read_mean(param.mean_file) if param.mean_file else None
    return Transform.from_caffe(param, mean, **more)


def to_blob_proto(mean: np.ndarray) -> bytes:
    """Serialize a BlobProto with the four legacy dimensions and packed floats, as compute_image_mean does."""
    dims = (1, *mean.shape)
    head = b"".join(bytes([8 * number]) + wire_format.varint(size) for number, size in enumerate(dims, 1))
    data = np.ascontiguousarray(mean, "<f4").tobytes()
    return head + b"\x2a" + wire_format.varint(len(data)) + data


def from_blob_proto(data: bytes) -> np.ndarray:
    """Parse a BlobProto with legacy (num, channels, height, width) or current (shape) dimensions to an array."""
    view = memoryview(data)
    legacy, shape = {}, None
    for number, wire_type, value in wire_format.fields(view):
        if number <= 4 and wire_type == wire_format.VARINT:
            legacy[number] = wire_format.signed(value)
        elif number == 7 and wire_type == wire_format.BYTES:
            shape = _dims(value)
    values = wire_format.scalars(view, 5, "<f4")
    if not values.size:
        values = wire_format.scalars(view, 8, "<f8")
    if legacy:
        shape = [legacy.get(number, 0) for number in (1, 2, 3, 4)]
    if shape is None or min(shape, default=0) <= 0:
        raise ValueError("it has no shape")
    if np.prod(shape, dtype=float) != values.size:
        raise ValueError(f"{values.size} values do not fit the shape {tuple(shape)}")
    return values.reshape(shape)


def _dims(view: memoryview) -> list[int]:
    """Read the dimensions of a BlobShape, packed or not."""
    dims = []
    for number, wire_type, value in wire_format.fields(view):
        if number == 1 and wire_type == wire_format.VARINT:
            dims.append(value)
        elif number == 1 and wire_type == wire_format.BYTES:
            at = 0
            while at < len(value):
                dim, at = wire_format.read_varint(value, at)
                dims.append(dim)
    return dims


def _from_npy(data: bytes) -> np.ndarray:
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"its type is {array.dtype}")
    return array
