"""The operations of a MyriadXHwOp stage: how Myriad X's convolution engines are programmed.

Field order as OpenVINO 2021.4 writes it (vpu/graph_transformer, stages/mx_stage.cpp); all fields are 32-bit words.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from ncs.errors import NcsError

CONV, CONV_POOL, FC, POOL = 0, 1, 2, 4
NAMES = {CONV: "CONV", CONV_POOL: "CONV_POOL", FC: "FC", POOL: "POOL"}
REPEAT_RIGHT, REPEAT_BOTTOM, REPEAT_TOP, REPEAT_LEFT = 1, 2, 4, 8
MAX_OPERATIONS = 1 << 16


class Operation(NamedTuple):
    """One descriptor: indices of the stage's tensors (-1: none), sizes as (height, width)."""

    type: int
    pool_type: int = 0  # 0 max, 1 average
    mode: int = 0  # how the engine's memory is split; does not affect the result
    pad: bool = False
    pad_mode: int = 0
    input: int = -1
    output: int = -1
    weights: int = -1
    biases: int = -1
    scales: int = -1
    channels: tuple[int, int] = (0, 0)  # of the output: first, count
    fc_input: tuple[int, int] = (0, 0)
    fc_accumulate: bool = False
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    pool: tuple[int, int] = (1, 1)
    relu: tuple[int, int, int] = (0, 1, 1)  # threshold, factor below it, factor above it
    clamp: float = float("inf")


class _Cursor:
    def __init__(self, params: bytes, number: int) -> None:
        self.params, self.offset, self.number = params, 0, number

    def word(self, form: str = "I") -> int:
        return self._next(form)

    def real(self) -> float:
        return self._next("f")

    def _next(self, form: str) -> Any:
        if self.offset + 4 > len(self.params):
            raise NcsError(f"stage {self.number} (MyriadXHwOp): its operations are truncated; the blob is damaged")
        (value,) = struct.unpack_from("<" + form, self.params, self.offset)
        self.offset += 4
        return value


def read_operations(params: bytes, number: int) -> list[Operation]:
    """Return the operations in a stage's parameters; `number` is the stage's, for error messages."""
    cursor = _Cursor(params, number)
    return [_operation(cursor) for _ in range(_count(cursor))]


def operations_end(params: bytes, number: int) -> int:
    """Return the offset of the byte after the last operation."""
    cursor = _Cursor(params, number)
    for _ in range(_count(cursor)):
        _operation(cursor)
    return cursor.offset


def _count(cursor: _Cursor) -> int:
    count = cursor.word()
    if not 1 <= count <= MAX_OPERATIONS:
        raise NcsError(
            f"stage {cursor.number} (MyriadXHwOp): expected 1 to {MAX_OPERATIONS} operations, received {count}"
        )
    return count


def _operation(cursor: _Cursor) -> Operation:
    word = cursor.word
    kind = word()
    if kind not in NAMES:
        raise NcsError(f"stage {cursor.number} (MyriadXHwOp): operation type: expected one of {NAMES}, received {kind}")
    fields: dict[str, Any] = {"type": kind}
    if kind == POOL:
        fields["pool_type"] = word()
    fields["mode"] = word()
    fields["pad"] = bool(word())
    if fields["pad"]:
        fields["pad_mode"] = word()
    for name in ("input", "output", "weights", "biases", "scales"):
        fields[name] = word("i")
    if kind == FC:
        fields["fc_input"] = (word(), word())
        fields["channels"] = (word(), word())
        fields["fc_accumulate"] = bool(word())
    else:
        fields["channels"] = (word(), word())
        fields["kernel"] = (word(), word())[::-1]
        fields["stride"] = word()
    if kind == CONV_POOL:
        fields["pool"] = (word(), word())[::-1]
    if word():
        fields["relu"] = (word("i"), word("i"), word("i"))
    if word():
        fields["clamp"] = cursor.real()
    word(), word()  # whether the engine keeps data and coefficients for the next operation
    return Operation(**fields)
