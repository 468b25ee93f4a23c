"""The context in which a stage runs: its parameters, its tensors as arrays, and its outputs."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Callable, overload  # noqa: UP035 - Python 3.7 on the device

import numpy as np

from ncs.errors import NcsError
from ncs.simulator.memory import Memory, Unwritten, round_to_dtype
from ncs.simulator.products import matmul
from ncs.simulator.program import StageRecord, TensorRef

if TYPE_CHECKING:
    from typing import Literal  # Python 3.7 has none

IMAGE = "NCHW"


class StageCount:
    """What one stage did: multiply-accumulates, and bytes read and written by location.

    Channels that the compiler added as padding count. A tensor that a stage reads several times counts once: how often
    an engine loads it again is unknown.
    """

    def __init__(self, number: int, kind: str) -> None:
        self.number, self.kind, self.macs = number, kind, 0
        self._read: dict[TensorRef, int] = {}
        self._written: dict[TensorRef, int] = {}

    def note(self, tensor: TensorRef, written: bool = False) -> None:
        """Count one access of a tensor."""
        size = tensor.itemsize
        for extent in tensor.dims:
            size *= extent
        (self._written if written else self._read)[tensor] = size

    def bytes_read(self, location: str = "") -> int:
        """Return the bytes read from a location, "" for all: input, blob (constants), BSS (in DDR), CMX."""
        return sum(size for tensor, size in self._read.items() if location in ("", tensor.location))

    def bytes_written(self, location: str = "") -> int:
        """Return the bytes written to a location, "" for all."""
        return sum(size for tensor, size in self._written.items() if location in ("", tensor.location))

    @property
    def memory_bytes(self) -> int:
        """Bytes moved from and to DDR: everything except CMX."""
        return self.bytes_read() + self.bytes_written() - self.bytes_read("CMX") - self.bytes_written("CMX")


class Report:
    """Diagnostics of one inference: unwritten reads, overflows, assumptions, and the counts of every stage."""

    def __init__(self) -> None:
        self.unwritten: list[Unwritten] = []
        self.overflows: list[tuple[str, int]] = []  # (stage, number of values beyond 65504)
        self.counts: list[StageCount] = []
        self.assumptions: list[str] = []  # about behavior that the blob does not specify


class WeightCache:
    """Unpacked weights, cached between inferences up to a total of `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[tuple, np.ndarray] = {}

    def get(self, key: tuple, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the value for `key`; call `make` if it is not cached."""
        if key in self._values:
            return self._values[key]
        value = make()
        if value.nbytes <= self._limit:
            self._limit -= value.nbytes
            self._values[key] = value
        return value


class Call:
    """The execution of one stage. Arrays are float32, or integers for integer tensors; `half` accumulates in FP16."""

    def __init__(
        self,
        record: StageRecord,
        memory: Memory,
        report: Report,
        weight_cache: WeightCache,
        half: bool = False,
        label: str = "",
    ) -> None:
        self.record, self.half, self.label = record, half, label or str(record)
        self._memory, self._report, self._weight_cache = memory, report, weight_cache
        self.count = StageCount(record.number, record.kind)
        self._offset = 0
        self._prepared: dict[int, np.ndarray] = {}

    @property
    def tensors(self) -> tuple[TensorRef, ...]:
        """The stage's tensors, in the order of the blob."""
        return self.record.tensors

    def error(self, text: str) -> NcsError:
        """Return an error whose message starts with the stage."""
        return NcsError(f"{self.label}: {text}")

    @overload
    def param(self, form: Literal["i", "I"]) -> int: ...

    @overload
    def param(self, form: Literal["f", "e"]) -> float: ...

    @overload
    def param(self, form: str) -> int | float: ...

    def param(self, form: str) -> int | float:
        """Return the next parameter in a struct format: "i" int32, "I" uint32, "f" float32, "e" float16."""
        size = struct.calcsize("<" + form)
        if self._offset + size > len(self.record.params):
            raise self.error(f"has {len(self.record.params)} bytes of parameters, expected more; the blob is damaged")
        (value,) = struct.unpack_from("<" + form, self.record.params, self._offset)
        self._offset += size
        return value

    def params(self, forms: str) -> tuple:
        """Return the next parameters, one per letter of `forms`."""
        return tuple(self.param(form) for form in forms)

    def report_assumption(self, text: str) -> None:
        """Report an assumption once per inference."""
        text = f"{self.label}: {text}"
        if text not in self._report.assumptions:
            self._report.assumptions.append(text)

    def tensor(self, number: int) -> TensorRef:
        """Return tensor `number`; raises NcsError if the stage has none."""
        if not 0 <= number < len(self.tensors) or self.tensors[number].location == "none":
            raise self.error(f"has no tensor {number}; the blob is damaged")
        return self.tensors[number]

    def has(self, number: int) -> bool:
        """Return whether the stage has tensor `number`."""
        return 0 <= number < len(self.tensors) and self.tensors[number].location != "none"

    def read(self, number: int) -> np.ndarray:
        """Return the elements of a tensor with its own order of axes; reads of unwritten memory are reported."""
        tensor = self.tensor(number)
        self.count.note(tensor)
        mask = self._memory.unwritten_mask(tensor)
        if mask is not None:
            self._report.unwritten.append(Unwritten(self.label, tensor, int(mask.sum()), False))
        return _to_float32(self._memory.view(tensor))

    def read_with_mask(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return (elements, mask of unwritten ones or None); the stage calls `report_unwritten` for those it uses."""
        tensor = self.tensor(number)
        self.count.note(tensor)
        return _to_float32(self._memory.view(tensor)), self._memory.unwritten_mask(tensor)

    def report_unwritten(self, number: int, count: int, harmless: bool) -> None:
        """Report that the stage read `count` elements of a tensor that no stage wrote."""
        self._report.unwritten.append(Unwritten(self.label, self.tensor(number), count, harmless))

    def constant(self, number: int, prepare: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return `prepare(elements)` of a tensor; cached for the next inference if the tensor is constant."""
        self.count.note(self.tensor(number))
        if number not in self._prepared:
            key = (self.record.number, self.record.kind, number)
            constant = self.tensor(number).location == "blob"
            make = lambda: prepare(self.read(number))  # noqa: E731
            self._prepared[number] = self._weight_cache.get(key, make) if constant else make()
        return self._prepared[number]

    def read_caffe_order(self, number: int) -> np.ndarray:
        """Return a tensor in Caffe's order of axes (NCHW, without the axes that it lacks)."""
        order = self.tensor(number).order
        return self.read(number).transpose([order.index(letter) for letter in caffe_order(order)])

    def per_channel(self, number: int) -> np.ndarray:
        """Return a tensor of one value per channel, reshaped to broadcast along the channels of tensor 0."""
        values, order = self.read(number).reshape(-1), self.tensor(0).order
        return values.reshape([-1 if letter == "C" else 1 for letter in order])

    def image(self, number: int) -> np.ndarray:
        """Return a tensor as (N, C, H, W); axes that it lacks have length 1."""
        return as_image(self.read(number), self.tensor(number).order)

    def write(self, number: int, values: np.ndarray) -> None:
        """Round `values` to the tensor's type and store them; the shapes must be equal."""
        tensor = self.tensor(number)
        if tensor.location in ("blob", "input"):
            raise self.error(f"writes into the {tensor.location}: {tensor}")
        if tuple(values.shape) != tensor.dims:
            raise self.error(f"computed {values.shape}, but its output is {tensor}")
        stored = round_to_dtype(values, tensor.dtype)
        self._note_overflow(values, stored)
        self.count.note(tensor, written=True)
        self._memory.write(tensor, stored)

    def matmul(self, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Multiply (O, K) by (K, P) and count the multiply-accumulates."""
        self.count.macs += weights.size * values.shape[1]
        return matmul(weights, values, self.half)

    def copy(self, source: int, target: int, rearrange: Callable[[np.ndarray], np.ndarray]) -> None:
        """Copy elements in the order that `rearrange` gives; unwritten elements stay unwritten."""
        tensor = self.tensor(source)
        mask = self._memory.unwritten_mask(tensor)
        values = rearrange(self._memory.view(tensor).copy())
        self.count.note(tensor)
        self.count.note(self.tensor(target), written=True)
        self._memory.write(self.tensor(target), values, None if mask is None else rearrange(mask))

    def store(self, tensor: TensorRef, values: np.ndarray) -> None:
        """Round (N, C, H, W) `values` and store them in `tensor`, a part of one of the stage's tensors."""
        stored = round_to_dtype(from_image(values, tensor.order, self), tensor.dtype)
        if stored.shape != tensor.dims:
            raise self.error(f"computed {values.shape}, but its output is {tensor}")
        self._note_overflow(values, stored)
        self.count.note(tensor, written=True)
        self._memory.write(tensor, stored)

    def write_image(self, number: int, values: np.ndarray) -> None:
        """Store (N, C, H, W) `values` in the tensor's own order of axes."""
        tensor = self.tensor(number)
        self.write(number, from_image(values, tensor.order, self))

    def _note_overflow(self, values: np.ndarray, stored: np.ndarray) -> None:
        """Count the values that are finite in float32 and infinite in FP16."""
        if stored.dtype == np.float16 and values.dtype != np.float16:
            count = int(np.isinf(stored).sum()) - int(np.isinf(values).sum())
            if count > 0:
                self._report.overflows.append((self.label, count))


def caffe_order(order: str) -> list[str]:
    """Return the letters of `order` in Caffe's order of axes, outermost first."""
    letters = "NCDHW" if len(order) <= 5 else "XBADNCHW"
    return [letter for letter in letters if letter in order]


def _to_float32(values: np.ndarray) -> np.ndarray:
    """Copy `values`; FP16 becomes float32."""
    return values.astype(np.float32) if values.dtype == np.float16 else values.copy()


def as_image(values: np.ndarray, order: str) -> np.ndarray:
    """Return an array with axes `order` as (N, C, H, W)."""
    present = [letter for letter in IMAGE if letter in order]
    if len(present) != len(order):
        raise NcsError(f"a tensor with the axes {order} is not an image")
    values = values.transpose([order.index(letter) for letter in present])
    sizes = iter(values.shape)
    return values.reshape([next(sizes) if letter in order else 1 for letter in IMAGE])


def from_image(values: np.ndarray, order: str, call: Call) -> np.ndarray:
    """Return (N, C, H, W) `values` with the axes `order`; dropped axes must have length 1."""
    for letter, size in zip(IMAGE, values.shape):
        if letter not in order and size != 1:
            raise call.error(f"computed {values.shape}, but its output only has the axes {order}")
    present = [letter for letter in IMAGE if letter in order]
    values = values.reshape([size for letter, size in zip(IMAGE, values.shape) if letter in order])
    return values.transpose([present.index(letter) for letter in order])
