"""The chip's memory: separate buffers with strided views, and a record of which bytes were written."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ncs.simulator.program import Program, TensorRef

NUMPY: dict[str, type] = {"FP16": np.float16, "U8": np.uint8, "S32": np.int32, "FP32": np.float32, "I8": np.int8}
POISON = 0x7E  # fills new memory: FP16 0x7E7E is NaN, so reads of unwritten memory are visible in the results


class Unwritten(NamedTuple):
    """A read of elements that no stage wrote; `harmless` if all their weights are zero."""

    stage: str
    tensor: TensorRef
    count: int  # type: ignore[assignment] # hides tuple.count
    harmless: bool

    def __str__(self) -> str:
        suffix = " (multiplied by zero weights)" if self.harmless else ""
        return f"{self.stage} reads {self.count} elements that no stage wrote: {self.tensor}{suffix}"


class Memory:
    """The buffers of one inference; tensors are views into them by offset, dims and strides."""

    def __init__(self, program: Program) -> None:
        self._buffers: dict[tuple[str, int], np.ndarray] = {}
        self._written: dict[tuple[str, int], np.ndarray] = {}
        constants = np.frombuffer(program.constants, np.uint8)
        self._buffers["blob", 0] = constants
        self._allocate("BSS", 0, program.bss_size)
        self._allocate("CMX", 0, program.cmx_size)
        for location, ports in (("input", program.inputs), ("output", program.outputs)):
            for number, port in enumerate(ports):
                self._allocate(location, number, port.tensor.extent)

    def _allocate(self, location: str, buffer: int, size: int) -> None:
        self._buffers[location, buffer] = np.full(size, POISON, np.uint8)
        self._written[location, buffer] = np.zeros(size, np.bool_)

    def reset(self) -> None:
        """Mark everything except the constants as unwritten."""
        for key, written in self._written.items():
            self._buffers[key].fill(POISON)
            written.fill(False)

    def view(self, tensor: TensorRef) -> np.ndarray:
        """Return a view of the tensor's elements, with the blob's order of axes."""
        return self._strided(self._buffers, tensor, NUMPY[tensor.dtype])

    def unwritten_mask(self, tensor: TensorRef) -> np.ndarray | None:
        """Return the mask of elements that no stage wrote, or None if all were written."""
        if tensor.location == "blob":
            return None
        written = self._strided(self._written, tensor, np.bool_)
        return None if written.all() else ~written

    def write(self, tensor: TensorRef, values: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Store `values` of the tensor's shape and type; elements of `mask` stay unwritten."""
        self.view(tensor)[...] = values
        self._strided(self._written, tensor, np.bool_)[...] = True if mask is None else ~mask

    @staticmethod
    def _strided(buffers: dict, tensor: TensorRef, dtype: type) -> np.ndarray:
        buffer = buffers[tensor.location, tensor.buffer]
        return np.ndarray(tensor.dims, dtype, buffer, tensor.offset, tensor.strides)


def round_to_dtype(values: np.ndarray, dtype: str) -> np.ndarray:
    """Convert float32 values to `dtype`: FP16 rounds to nearest even, integers saturate."""
    kind = NUMPY[dtype]
    if values.dtype == kind:
        return values
    if dtype in ("FP16", "FP32"):
        with np.errstate(over="ignore"):
            return values.astype(kind)
    limits = np.iinfo(kind)
    return np.clip(np.rint(np.nan_to_num(values)), limits.min, limits.max).astype(kind)
