"""Mean images, .binaryproto as compute_image_mean writes it or .npy, to a float32 array and back."""

from __future__ import annotations

import io
import os
import tokenize
from typing import Any

import numpy as np

from caffe.data import wire_format
from caffe.device.transform import Transform
from caffe.errors import CaffeError
from caffe.utils import input_file
from caffe.utils.atomic_io import write_bytes

_NPY = b"\x93NUMPY"
# What NumPy's reader raises on a damaged .npy, besides ValueError.
DAMAGED = (ValueError, LookupError, TypeError, SyntaxError, EOFError, ArithmeticError, MemoryError, tokenize.TokenError)


def read_mean(path: str | os.PathLike) -> np.ndarray:
    """The mean in `path`, float32 (C, H, W); the first bytes tell .npy from .binaryproto."""
    try:
        data = input_file.read_bytes(path)
    except CaffeError as error:
        raise CaffeError(f"mean file {error}; compute_image_mean makes one") from None
    try:
        array = _from_npy(data) if data.startswith(_NPY) else from_blob_proto(data)
    except DAMAGED as error:  # a WireError, too
        raise CaffeError(f"mean file '{path}' is neither a BlobProto nor a .npy: {error}") from None
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or not array.size:
        raise CaffeError(f"mean file '{path}' holds {array.shape}, not channels x height x width")
    if not np.isfinite(array).all():
        raise CaffeError(f"mean file '{path}' holds values that are not finite")
    return np.ascontiguousarray(array, np.float32)


def write_mean(path: str | os.PathLike, mean: np.ndarray) -> None:
    """Write a (C, H, W) mean whole or not at all: .npy by its name, else the BlobProto that Caffe writes."""
    if os.fspath(path).endswith(".npy"):
        stream = io.BytesIO()
        np.save(stream, np.ascontiguousarray(mean, np.float32), allow_pickle=False)
        write_bytes(path, stream.getvalue())
    else:
        write_bytes(path, to_blob_proto(mean))


def transform_of(param: Any, **more: Any) -> Transform:
    """The Transform of a layer's transform_param, its mean_file read; `more` are other Transform fields."""
    mean = read_mean(param.mean_file) if param.mean_file else None
    return Transform.from_caffe(param, mean, **more)


def to_blob_proto(mean: np.ndarray) -> bytes:
    """A BlobProto with the four legacy dimensions and packed floats, as compute_image_mean serializes it."""
    dims = (1, *mean.shape)
    head = b"".join(bytes([8 * number]) + wire_format.varint(size) for number, size in enumerate(dims, 1))
    data = np.ascontiguousarray(mean, "<f4").tobytes()
    return head + b"\x2a" + wire_format.varint(len(data)) + data


def from_blob_proto(data: bytes) -> np.ndarray:
    """The array of a BlobProto of either generation (num/channels/height/width or shape), in its shape."""
    view = memoryview(data)
    legacy, shape = {}, None
    for number, kind, value in wire_format.fields(view):
        if number <= 4 and kind == wire_format.VARINT:
            legacy[number] = wire_format.signed(value)
        elif number == 7 and kind == wire_format.BYTES:
            shape = _dims(value)
    values = wire_format.scalars(view, 5, "<f4")
    if not values.size:
        values = wire_format.scalars(view, 8, "<f8")
    if legacy:
        shape = [legacy.get(number, 0) for number in (1, 2, 3, 4)]
    if shape is None or min(shape, default=0) <= 0:
        raise ValueError("it has no shape")
    if np.prod(shape, dtype=float) != values.size:
        raise ValueError("shape %s wants other than the %d values it holds" % (tuple(shape), values.size))
    return values.reshape(shape)


def _dims(view: memoryview) -> list[int]:
    """BlobShape: dim, packed or not."""
    dims = []
    for number, kind, value in wire_format.fields(view):
        if number == 1 and kind == wire_format.VARINT:
            dims.append(value)
        elif number == 1 and kind == wire_format.BYTES:
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
