"""One BlobProto at rest: its numbers as views of the file, its shape in either of two forms; and back."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, wire_format

MAX_AXES = 32  # kMaxBlobAxes in Caffe's blob.hpp
MAX_PLAIN_BYTES = 64 << 20
_MAX_PARTS = 10_000  # pieces a list of numbers may come in; one is the rule
_LEGACY = {1: 0, 2: 1, 3: 2, 4: 3}  # num, channels, height, width
_SHAPE = 7
_LISTS = {5: "<f4", 6: "<f4", 8: "<f8", 9: "<f8"}  # data, diff, double_data, double_diff
# NVCaffe 0.16 and later store blobs as bytes with a type beside them.
_RAW_TYPES, _RAW = {10: 12, 11: 13}, {12, 13}
_RAW_DTYPES = {0: "<f8", 1: "<f4", 2: "<f2", 3: "<i4", 4: "<u4"}


class StoredBlob(NamedTuple):
    """Shape as Caffe has it, values, and gradients where they were saved.

    The arrays are views of the file: not aligned in memory, so copy them to where they are used.
    """

    shape: tuple[int, ...]
    data: np.ndarray
    diff: np.ndarray | None


def read_blob(view: memoryview, where: str) -> StoredBlob:
    """Read a BlobProto; `where` begins the text of each CaffeError.

    The legacy dimensions win over `shape` where both are given, as in Blob::FromProto.
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
    """Return legacy dimensions (or ()), shape, and the pieces of each list of numbers by field number."""
    legacy: dict[int, int] = {}
    shape: list[int] = []
    lists: dict[int, list[np.ndarray]] = {}
    raw_types: dict[int, int] = {}
    at = 0
    while at < len(view):
        number, kind, value, end = wire_format.field(view, at)
        if isinstance(value, int):
            if number in _LEGACY:
                legacy[_LEGACY[number]] = wire_format.signed(value)
            elif number in _RAW_TYPES:
                raw_types[_RAW_TYPES[number]] = value
        elif number == _SHAPE and kind == wire_format.BYTES:
            shape.extend(_dims(value))
        elif number in _LISTS:
            piece, end = _piece(view, at, end, kind, value, _LISTS[number])
            _add(lists, number, piece)
        elif number in _RAW and kind == wire_format.BYTES:
            _add(lists, number, _whole(value, _RAW_DTYPES.get(raw_types.get(number, 1))))
        at = end
    dims = tuple(legacy.get(axis, 0) for axis in range(4)) if legacy else ()
    return dims, tuple(shape), lists


def _add(lists: dict[int, list[np.ndarray]], number: int, piece: np.ndarray) -> None:
    pieces = lists.setdefault(number, [])
    pieces.append(piece)
    if len(pieces) > _MAX_PARTS:
        raise ValueError("its numbers come in more than %d pieces" % _MAX_PARTS)


def _dims(view: memoryview) -> list[int]:
    if len(view) > 11 * MAX_AXES:
        raise ValueError("a shape of more than %d axes" % MAX_AXES)
    return list(caffe_pb2.BlobShape.FromString(bytes(view)).dim)


def _piece(view: memoryview, at: int, end: int, kind: int, value: memoryview, dtype: str) -> tuple[np.ndarray, int]:
    """Return a packed list, or the run of single values (old files) that begins here, and where it ends."""
    if kind == wire_format.BYTES:
        return _whole(value, dtype), end
    if len(value) != np.dtype(dtype).itemsize:
        raise ValueError("numbers of the wrong size")
    return _run(view, at, end, dtype)


def _whole(value: memoryview, dtype: str | None) -> np.ndarray:
    if dtype is None:
        raise ValueError("numbers of an unknown type")
    if len(value) % np.dtype(dtype).itemsize:
        raise ValueError("a list of numbers ends inside a number")
    return np.frombuffer(value, dtype)


def _run(view: memoryview, at: int, end: int, dtype: str) -> tuple[np.ndarray, int]:
    """Values each with its own tag, as a strided view: looked for in blocks that grow with the run."""
    tag = bytes(view[at : end - np.dtype(dtype).itemsize])
    record = np.dtype([("tag", "S%d" % len(tag)), ("value", dtype)])
    count, block = 1, 16
    limit = (len(view) - at) // record.itemsize
    while count < limit:
        size = min(block, limit - count)
        tags = np.frombuffer(view, record, size, at + count * record.itemsize)["tag"]
        same = tags == tag
        if not same.all():
            count += int(np.argmin(same))
            break
        count, block = count + size, block * 2
    values = np.frombuffer(view, record, count, at)["value"]
    return values, at + count * record.itemsize


def _join(lists: dict[int, list[np.ndarray]], numbers: tuple[int, ...]) -> np.ndarray | None:
    """Return the first of the lists that has values: double before float before raw, as Caffe looks."""
    for number in numbers:
        pieces = [piece for piece in lists.get(number, []) if piece.size]
        if pieces:
            return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    return None


def _check(dims: tuple[int, ...], values: np.ndarray | None, what: str) -> None:
    if len(dims) > MAX_AXES:
        raise ValueError("a shape of %d axes; Caffe has at most %d" % (len(dims), MAX_AXES))
    if any(dim < 0 for dim in dims):
        raise ValueError(f"shape {_text(dims)} has a negative extent")
    size = 0 if values is None else values.size
    if math.prod(dims) != size:
        wanted = "shape %s wants %d %s" % (_text(dims), math.prod(dims), what)
        raise ValueError("%s, the file holds %d" % (wanted, size))


def _text(dims: tuple[int, ...]) -> str:
    return " x ".join(map(str, dims)) or "()"


def encode(array: np.ndarray, diff: np.ndarray | None = None, legacy_shape: bool = False) -> list[Any]:
    """Return a BlobProto as pieces (bytes and arrays) in the order and form that Caffe writes.

    float64 arrays go to double_data, all others to data as float32; `legacy_shape` writes num, channels,
    height, width (ones in front of fewer axes), as compute_image_mean does.
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
        raise CaffeError("a blob of %d axes has no legacy shape (num, channels, height, width)" % len(shape))
    dims = (1,) * (4 - len(shape)) + tuple(shape)
    return b"".join(_key(number, wire_format.VARINT) + wire_format.varint(dim) for number, dim in zip(_LEGACY, dims))


def _key(number: int, kind: int) -> bytes:
    return wire_format.varint(number << 3 | kind)


def length(pieces: list[Any]) -> int:
    """Return how many bytes the pieces are."""
    return sum(piece.nbytes if isinstance(piece, np.ndarray) else len(piece) for piece in pieces)


def field(number: int, pieces: list[Any]) -> list[Any]:
    """Return the pieces of a submessage as a field of another message."""
    return [_key(number, wire_format.BYTES) + wire_format.varint(length(pieces)), *pieces]
