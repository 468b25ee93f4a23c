"""The messages between `remote` and `remote_worker` over pipes: a JSON header and an optional array."""

from __future__ import annotations

import json
import math
import operator
import struct
from typing import Any

import numpy as np

from ncs.errors import NcsError

_LENGTH = struct.Struct("<I")
_MAX_HEADER = 1 << 20  # bytes
_MAX_VALUES = 1 << 31


def send(stream: Any, header: dict[str, Any], array: np.ndarray | None = None) -> None:
    """Write one message; `array` is sent as float32."""
    if array is not None:
        array = np.ascontiguousarray(array, np.float32)
        header = dict(header, shape=list(array.shape))
    text = json.dumps(header).encode("utf-8")
    stream.write(_LENGTH.pack(len(text)) + text)
    if array is not None:
        stream.write(array.data.cast("B"))
    stream.flush()


def receive(stream: Any) -> tuple[dict[str, Any], np.ndarray | None]:
    """Read one message.

    Raises EOFError when the other side has closed the pipe, and NcsError for what is no message, such as text that a
    library has printed to the pipe.
    """
    length = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))[0]
    if length > _MAX_HEADER:
        raise NcsError(f"not a message: its header would have {length} bytes")
    try:
        header = json.loads(_read_exactly(stream, length).decode("utf-8"))
        shape = header.pop("shape", None)
        if shape is None:
            return header, None
        count = math.prod(map(operator.index, shape))
        if not 0 <= count <= _MAX_VALUES:
            raise ValueError(f"an array of {count} values")
        return header, np.frombuffer(_read_exactly(stream, 4 * count), np.float32).reshape(shape)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise NcsError(f"not a message: {error}") from error


def _read_exactly(stream: Any, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
