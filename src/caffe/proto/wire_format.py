"""The part of the protobuf wire format that reading records and means needs, without protobuf for speed.

https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Value = Any  # int for VARINT, else memoryview


class WireError(ValueError):
    """The bytes are not a protobuf message; callers convert it to a CaffeError with the location."""


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
            raise WireError("truncated inside a number") from None
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise WireError("a number longer than ten bytes")


def signed(value: int) -> int:
    """Convert the unsigned value of a varint to int32."""
    value &= 0xFFFFFFFF
    return value - 0x100000000 if value & 0x80000000 else value


def field(view: memoryview, at: int) -> tuple[int, int, Value, int]:
    """Read the field at `at`: (number, wire type, value, position after it); bytes are returned as a view."""
    key, at = read_varint(view, at)
    number, wire_type = key >> 3, key & 7
    if wire_type == VARINT:
        value, at = read_varint(view, at)
        return number, wire_type, value, at
    if wire_type == BYTES:
        size, at = read_varint(view, at)
    elif wire_type in (FIXED32, FIXED64):
        size = 4 if wire_type == FIXED32 else 8
    else:
        raise WireError(f"unknown wire type {wire_type} before byte {at}")
    if size > len(view) - at:
        raise WireError(f"truncated: field {number} needs {size} bytes, {len(view) - at} are left")
    return number, wire_type, view[at : at + size], at + size


def fields(view: memoryview) -> Iterator[tuple[int, int, Value]]:
    """Yield (number, wire type, value) of every field."""
    at = 0
    while at < len(view):
        number, wire_type, value, at = field(view, at)
        yield number, wire_type, value


def scalars(view: memoryview, field_number: int, dtype: str) -> np.ndarray:
    """Return all elements of a repeated float or double field of the message in `view`, packed or not."""
    size = np.dtype(dtype).itemsize
    parts = []
    for number, wire_type, value in fields(view):
        if number != field_number:
            continue
        if wire_type == VARINT or len(value) % size:
            raise WireError(f"field {number} is not a list of {dtype}")
        parts.append(np.frombuffer(value, dtype))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, dtype)
