"""Read a BlobProto with legacy or current shape to views of the file, and write it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, wire_format

MAX_AXES = 32  # kMaxBlobAxes in Caffe's blob.hpp
MAX_PLAIN_BYTES = 64 << 20
_MAX_PIECES = 10_000  # pieces of a list of values; usually one
_LEGACY = {1: 0, 2: 1, 3: 2, 4: 3}  # num, channels, height, width
_SHAPE = 7
_LISTS = {5: "<f4", 6: "<f4", 8: "<f8", 9: "<f8"}  # data, diff, double_data, double_diff
# NVCaffe 0.16 and later store blobs as bytes with a separate type.
_RAW_TYPES, _RAW = {10: 12, 11: 13}, {12, 13}
_RAW_DTYPES = {0: "<f8", 1: "<f4", 2: "<f2", 3: "<i4", 4: "<u4"}


class StoredBlob(NamedTuple):
    """Shape, values and, if stored, gradients of a blob.

    The arrays are views of the file and may be unaligned; copy them before use.
    """

    shape: tuple[int, ...]
    data: np.ndarray
    diff: np.ndarray | None


def read_blob(view: memoryview, where: str) -> StoredBlob:
    """Read a BlobProto; `where` is the prefix of error messages.

    The legacy dimensions have precedence over `shape`, as in Blob::FromProto.
    """
    try:
        legacy, shape, lists = _fields(view)
        dims = legacy or shape
        data = _join(lists, (8, 5, 12))
        diff = _join(lists, (9, 6, 13))
        _check(dims, data, "values")
        if diff is not None:
            _check(dims, diff, "gradients")
            diff = diff.reshape(dims)
        data = np.zeros(dims, np.float32) if data is None else data.reshape(dims)
    except (wire_format.WireError, DecodeError, ValueError) as problem:
        raise CaffeError(f"{where}: {problem}") from None
    return StoredBlob(dims, data, diff)


def _fields(view: memoryview) -> tuple[tuple[int, ...], tuple[int, ...], dict[int, list[np.ndarray]]]:
    """Return the legacy dimensions (or ()), the shape, and the pieces of each list of values by field number."""
    legacy: dict[int, int] = {}
    shape: list[int] = []
    lists: dict[int, list[np.ndarray]] = {}
    raw_types: dict[int, int] = {}
    at = 0
    while at < len(view):
        number, wire_type, value, end = wire_format.field(view, at)
        if isinstance(value, int):
            if number in _LEGACY:
                legacy[_LEGACY[number]] = wire_format.signed(value)
            elif number in _RAW_TYPES:
                raw_types[_RAW_TYPES[number]] = value
        elif number == _SHAPE and wire_type == wire_format.BYTES:
            shape.extend(_dims(value))
        elif number in _LISTS:
            piece, end = _piece(view, at, end, wire_type, value, _LISTS[number])
            _add(lists, number, piece)
        elif number in _RAW and wire_type == wire_format.BYTES:
            _add(lists, number, _packed(value, _RAW_DTYPES.get(raw_types.get(number, 1))))
        at = end
    dims = tuple(legacy.get(axis, 0) for axis in range(4)) if legacy else ()
    return dims, tuple(shape), lists


def _add(lists: dict[int, list[np.ndarray]], number: int, piece: np.ndarray) -> None:
    pieces = lists.setdefault(number, [])
    pieces.append(piece)
    if len(pieces) > _MAX_PIECES:
        raise ValueError(f"its values are in more than {_MAX_PIECES} pieces")


def _dims(view: memoryview) -> list[int]:
    if len(view) > 11 * MAX_AXES:
        raise ValueError(f"a shape of more than {MAX_AXES} axes")
    return list(caffe_pb2.BlobShape.FromString(bytes(view)).dim)


def _piece(
    view: memoryview, at: int, end: int, wire_type: int, value: memoryview, dtype: str
) -> tuple[np.ndarray, int]:
    """Return a packed list, or the run of tagged values (old files) that starts here, and the position after it."""
    if wire_type == wire_format.BYTES:
        return _packed(value, dtype), end
    if len(value) != np.dtype(dtype).itemsize:
        raise ValueError("values of the wrong size")
    return _run(view, at, end, dtype)


def _packed(value: memoryview, dtype: str | None) -> np.ndarray:
    if dtype is None:
        raise ValueError("values of an unknown type")
    if len(value) % np.dtype(dtype).itemsize:
        raise ValueError("a list of values ends inside a value")
    return np.frombuffer(value, dtype)


def _run(view: memoryview, at: int, end: int, dtype: str) -> tuple[np.ndarray, int]:
    """Return a run of individually tagged values as a strided view; its end is searched in blocks that grow."""
    tag = bytes(view[at : end - np.dtype(dtype).itemsize])
    record = np.dtype([("tag", f"S{len(tag)}"), ("value", dtype)])
    count, block = 1, 16
    limit = (len(view) - at) // record.itemsize
    while count < limit:
        size = min(block, limit - count)
        tags = np.frombuffer(view, record, size, at + count * record.itemsize)["tag"]
        matches = tags == tag
        if not matches.all():
            count += int(np.argmin(matches))
            break
        count, block = count + size, block * 2
    values = np.frombuffer(view, record, count, at)["value"]
    return values, at + count * record.itemsize


def _join(lists: dict[int, list[np.ndarray]], numbers: tuple[int, ...]) -> np.ndarray | None:
    """Return the first list that has values; double, float, then raw, as in Caffe."""
    for number in numbers:
        pieces = [piece for piece in lists.get(number, []) if piece.size]
        if pieces:
            return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    return None


def _check(dims: tuple[int, ...], values: np.ndarray | None, noun: str) -> None:
    if len(dims) > MAX_AXES:
        raise ValueError(f"a shape of {len(dims)} axes; Caffe allows at most {MAX_AXES}")
    if any(dim < 0 for dim in dims):
        raise ValueError(f"shape {_text(dims)} has a negative extent")
    size = 0 if values is None else values.size
    if math.prod(dims) != size:
        raise ValueError(f"shape {_text(dims)} needs {math.prod(dims)} {noun}, the file has {size}")


def _text(dims: tuple[int, ...]) -> str:
    return " x ".join(map(str, dims)) or "()"


def encode(array: np.ndarray, diff: np.ndarray | None = None, legacy_shape: bool = False) -> list[Any]:
    """Serialize a BlobProto as Caffe does, to a list of pieces (bytes and arrays).

    float64 arrays are stored in double_data, others as float32 in data. `legacy_shape` writes num, channels, height and
    width (padded with leading ones), as compute_image_mean does.
    """
    double = array.dtype == np.float64
    values = [(8 if double else 5, array)] + ([(9 if double else 6, diff)] if diff is not None else [])
    shape = b"" if legacy_shape else _encode_shape(array.shape)
    pieces: list[Any] = [_encode_legacy(array.shape)] if legacy_shape else []
    for number, numbers in values:
        if number == 8:
            pieces.append(shape)
        numbers = np.ascontiguousarray(numbers, "<f8" if double else "<f4")
        if numbers.size:
            pieces += [_key(number, wire_format.BYTES) + wire_format.varint(numbers.nbytes), numbers]
    return pieces if double else [*pieces, shape]


def _encode_shape(shape: tuple[int, ...]) -> bytes:
    if not shape:
        return b""
    dims = b"".join(map(wire_format.varint, shape))
    inner = _key(1, wire_format.BYTES) + wire_format.varint(len(dims)) + dims
    return _key(_SHAPE, wire_format.BYTES) + wire_format.varint(len(inner)) + inner


def _encode_legacy(shape: tuple[int, ...]) -> bytes:
    if len(shape) > 4:
        raise CaffeError(f"a blob of {len(shape)} axes has no legacy shape (num, channels, height, width)")
    dims = (1,) * (4 - len(shape)) + tuple(shape)
    return b"".join(_key(number, wire_format.VARINT) + wire_format.varint(dim) for number, dim in zip(_LEGACY, dims))


def _key(number: int, wire_type: int) -> bytes:
    return wire_format.varint(number << 3 | wire_type)


def length(pieces: list[Any]) -> int:
    """Return the total size of the pieces in bytes."""
    return sum(piece.nbytes if isinstance(piece, np.ndarray) else len(piece) for piece in pieces)


def field(number: int, pieces: list[Any]) -> list[Any]:
    """Return the pieces of a submessage as a field of its parent."""
    return [_key(number, wire_format.BYTES) + wire_format.varint(length(pieces)), *pieces]
