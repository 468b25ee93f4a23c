"""The protobuf wire format, as little of it as the hot paths of records and means need.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Value = Any  # int of a VARINT, else memoryview


class WireError(ValueError):
    """The bytes are no protobuf message; callers turn it into a CaffeError that says where."""


def varint(number: int) -> bytes:
    """Encode a non-negative integer, or a negative int32/int64 as ten bytes of two's complement."""
    number &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(view: memoryview, at: int) -> tuple[int, int]:
    """Return (unsigned value, position after it)."""
    value = shift = 0
    while shift < 70:
        try:
            byte = view[at]
        except IndexError:
            raise WireError("cut short inside a number") from None
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise WireError("a number longer than ten bytes")


def signed(value: int) -> int:
    """The int32 that a varint holds."""
    value &= 0xFFFFFFFF
    return value - 0x100000000 if value & 0x80000000 else value


def field(view: memoryview, at: int) -> tuple[int, int, Value, int]:
    """The field at `at`: (number, wire type, value, position after it); bytes come as a view."""
    key, at = read_varint(view, at)
    number, kind = key >> 3, key & 7
    if kind == VARINT:
        value, at = read_varint(view, at)
        return number, kind, value, at
    if kind == BYTES:
        size, at = read_varint(view, at)
    elif kind in (FIXED32, FIXED64):
        size = 4 if kind == FIXED32 else 8
    else:
        raise WireError("wire type %d before byte %d" % (kind, at))
    if size > len(view) - at:
        raise WireError("cut short: field %d wants %d bytes, %d are left" % (number, size, len(view) - at))
    return number, kind, view[at : at + size], at + size


def fields(view: memoryview) -> Iterator[tuple[int, int, Value]]:
    """Yield (number, wire type, value) of every field."""
    at = 0
    while at < len(view):
        number, kind, value, at = field(view, at)
        yield number, kind, value


def scalars(view: memoryview, wanted: int, dtype: str) -> np.ndarray:
    """All elements of one repeated float or double field of the message in `view`, packed or not."""
    size = np.dtype(dtype).itemsize
    parts = []
    for number, kind, value in fields(view):
        if number != wanted:
            continue
        if kind == VARINT or len(value) % size:
            raise WireError("field %d is no list of %s" % (number, dtype))
        parts.append(np.frombuffer(value, dtype))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, dtype)
