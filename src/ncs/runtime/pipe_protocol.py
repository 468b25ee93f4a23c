"""The messages between `remote` and `remote_worker` over pipes: a JSON header and an optional array."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

_LENGTH = struct.Struct("<I")


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
    """Read one message. Raises EOFError when the other side has closed the pipe."""
    header = json.loads(_read_exactly(stream, _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))[0]).decode("utf-8"))
    shape = header.pop("shape", None)
    if shape is None:
        return header, None
    return header, np.frombuffer(_read_exactly(stream, 4 * int(np.prod(shape))), np.float32).reshape(shape)


def _read_exactly(stream: Any, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
