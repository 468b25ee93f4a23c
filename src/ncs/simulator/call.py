"""What a stage is given when it runs: its parameters, its tensors as arrays, and where its result goes."""

from __future__ import annotations

import struct
from typing import Callable  # noqa: UP035 - a board's Python is 3.7

import numpy as np

from ncs.errors import NcsError
from ncs.simulator.memory import Memory, Unwritten, rounded
from ncs.simulator.program import StageRecord, TensorRef

IMAGE = "NCHW"


class Report:
    """What happened in one inference besides its result."""

    def __init__(self) -> None:
        self.unwritten: list[Unwritten] = []
        self.overflows: list[tuple[str, int]] = []  # (stage, values beyond 65504)
        self.notes: list[str] = []  # what had to be assumed


class Constants:
    """Weights in the form that a stage computes with, kept from one inference to the next up to `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._kept = limit, {}

    def get(self, key: tuple, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The value for `key`, made if it is not kept."""
        if key in self._kept:
            return self._kept[key]
        value = make()
        if value.nbytes <= self._limit:
            self._limit -= value.nbytes
            self._kept[key] = value
        return value


class Call:
    """One stage that runs. Arrays are float32 (or integers where the tensor has them); `half` sums in FP16."""

    def __init__(
        self,
        record: StageRecord,
        memory: Memory,
        report: Report,
        constants: Constants,
        half: bool = False,
        label: str = "",
    ) -> None:
        self.record, self.half, self.label = record, half, label or str(record)
        self._memory, self._report, self._constants = memory, report, constants
        self._place, self._prepared = 0, {}

    @property
    def tensors(self) -> tuple[TensorRef, ...]:
        """The stage's tensors, in the order of its file."""
        return self.record.tensors

    def error(self, text: str) -> NcsError:
        """An error that names the stage."""
        return NcsError(f"{self.label}: {text}")

    def param(self, form: str) -> int | float:
        """The next parameter: "i" a signed word, "I" an unsigned one, "f" a float, "e" a half."""
        size = struct.calcsize("<" + form)
        if self._place + size > len(self.record.params):
            raise self.error(f"has {len(self.record.params)} bytes of parameters, expected more: the blob is damaged")
        (value,) = struct.unpack_from("<" + form, self.record.params, self._place)
        self._place += size
        return value

    def params(self, forms: str) -> tuple:
        """The next parameters, a letter each."""
        return tuple(self.param(form) for form in forms)

    def note(self, text: str) -> None:
        """Report something that had to be assumed, once."""
        text = f"{self.label}: {text}"
        if text not in self._report.notes:
            self._report.notes.append(text)

    def tensor(self, number: int) -> TensorRef:
        """Tensor `number`; an error where there is none."""
        if not 0 <= number < len(self.tensors) or self.tensors[number].location == "none":
            raise self.error(f"has no tensor {number}; the blob is damaged")
        return self.tensors[number]

    def has(self, number: int) -> bool:
        """Whether tensor `number` is there."""
        return 0 <= number < len(self.tensors) and self.tensors[number].location != "none"

    def read(self, number: int) -> np.ndarray:
        """The elements of a tensor, axes as its order says; reads of what nobody wrote are reported."""
        tensor = self.tensor(number)
        missing = self._memory.missing(tensor)
        if missing is not None:
            self._report.unwritten.append(Unwritten(self.label, tensor, int(missing.sum()), False))
        return _wide(self._memory.view(tensor))

    def read_partly(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(elements, which of them were never written or None); the stage reports by `note_missing` what it uses."""
        tensor = self.tensor(number)
        return _wide(self._memory.view(tensor)), self._memory.missing(tensor)

    def note_missing(self, number: int, count: int, harmless: bool) -> None:
        """Report `count` elements of a tensor as read without ever having been written."""
        self._report.unwritten.append(Unwritten(self.label, self.tensor(number), count, harmless))

    def constant(self, number: int, prepare: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return `prepare(elements)` of a tensor; cached for the next inference if the tensor is constant."""
        if number not in self._prepared:
            key = (self.record.number, self.record.kind, number)
            lasting = self.tensor(number).location == "blob"
            make = lambda: prepare(self.read(number))  # noqa: E731 - one line, used at once
            self._prepared[number] = self._constants.get(key, make) if lasting else make()
        return self._prepared[number]

    def plain(self, number: int) -> np.ndarray:
        """A tensor in Caffe's order of axes (NCHW), of those that it has."""
        order = self.tensor(number).order
        return self.read(number).transpose([order.index(letter) for letter in plain_order(order)])

    def per_channel(self, number: int) -> np.ndarray:
        """A tensor of one number a channel, shaped to lie along the channels of tensor 0."""
        values, order = self.read(number).reshape(-1), self.tensor(0).order
        return values.reshape([-1 if letter == "C" else 1 for letter in order])

    def image(self, number: int) -> np.ndarray:
        """A tensor as (N, C, H, W), whatever its order; axes that it lacks have length 1."""
        return as_image(self.read(number), self.tensor(number).order)

    def write(self, number: int, values: np.ndarray) -> None:
        """Round `values` to the tensor's type and store them; shapes must agree."""
        tensor = self.tensor(number)
        if tensor.location in ("blob", "input"):
            raise self.error(f"writes into the {tensor.location}: {tensor}")
        if tuple(values.shape) != tensor.dims:
            raise self.error(f"computed {values.shape}, but its output is {tensor}")
        stored = rounded(values, tensor.dtype)
        self._note_overflow(values, stored)
        self._memory.write(tensor, stored)

    def move(self, source: int, target: int, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Copy elements unchanged through `change`, which only moves them; what was never written stays so."""
        tensor = self.tensor(source)
        missing = self._memory.missing(tensor)
        values = change(self._memory.view(tensor).copy())
        self._memory.write(self.tensor(target), values, None if missing is None else change(missing))

    def store(self, tensor: TensorRef, values: np.ndarray) -> None:
        """Store (N, C, H, W) in a part of one of the stage's tensors."""
        stored = rounded(from_image(values, tensor.order, self), tensor.dtype)
        if stored.shape != tensor.dims:
            raise self.error(f"computed {values.shape}, but its output is {tensor}")
        self._note_overflow(values, stored)
        self._memory.write(tensor, stored)

    def write_image(self, number: int, values: np.ndarray) -> None:
        """Store (N, C, H, W) in the tensor's own order."""
        tensor = self.tensor(number)
        self.write(number, from_image(values, tensor.order, self))

    def _note_overflow(self, values: np.ndarray, stored: np.ndarray) -> None:
        """Count values that float32 held and FP16 does not."""
        if stored.dtype == np.float16 and values.dtype != np.float16:
            count = int(np.isinf(stored).sum()) - int(np.isinf(values).sum())
            if count > 0:
                self._report.overflows.append((self.label, count))


def plain_order(order: str) -> list[str]:
    """Caffe's order of the axes that `order` spells, outermost first."""
    letters = "NCDHW" if len(order) <= 5 else "XBADNCHW"
    return [letter for letter in letters if letter in order]


def _wide(values: np.ndarray) -> np.ndarray:
    """FP16 as float32 in memory of its own; other types as they are."""
    return values.astype(np.float32) if values.dtype == np.float16 else values.copy()


def as_image(values: np.ndarray, order: str) -> np.ndarray:
    """(N, C, H, W) of an array whose axes `order` spells."""
    present = [letter for letter in IMAGE if letter in order]
    if len(present) != len(order):
        raise NcsError(f"a tensor of order {order} is no image")
    values = values.transpose([order.index(letter) for letter in present])
    sizes = iter(values.shape)
    return values.reshape([next(sizes) if letter in order else 1 for letter in IMAGE])


def from_image(values: np.ndarray, order: str, call: Call) -> np.ndarray:
    """An array of axes `order` from (N, C, H, W); axes that go must have length 1."""
    for letter, size in zip(IMAGE, values.shape):
        if letter not in order and size != 1:
            raise call.error(f"computed {values.shape}, but its output has the axes {order} only")
    present = [letter for letter in IMAGE if letter in order]
    values = values.reshape([size for letter, size in zip(IMAGE, values.shape) if letter in order])
    return values.transpose([present.index(letter) for letter in order])
