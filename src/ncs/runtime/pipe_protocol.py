"""What `remote` and `worker` say to each other through pipes: a JSON head, then an array or nothing."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

_LENGTH = struct.Struct("<I")


def send(stream: Any, head: dict[str, Any], array: np.ndarray | None = None) -> None:
    """Write one message; `array` is float32."""
    if array is not None:
        array = np.ascontiguousarray(array, np.float32)
        head = dict(head, shape=list(array.shape))
    text = json.dumps(head).encode("utf-8")
    stream.write(_LENGTH.pack(len(text)) + text)
    if array is not None:
        stream.write(array.data.cast("B"))
    stream.flush()


def receive(stream: Any) -> tuple[dict[str, Any], np.ndarray | None]:
    """Read one message. Raises EOFError where the other side has gone."""
    head = json.loads(_exactly(stream, _LENGTH.unpack(_exactly(stream, _LENGTH.size))[0]).decode("utf-8"))
    shape = head.pop("shape", None)
    if shape is None:
        return head, None
    return head, np.frombuffer(_exactly(stream, 4 * int(np.prod(shape))), np.float32).reshape(shape)


def _exactly(stream: Any, count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise EOFError
    return found
