"""What of a blob a simulator runs: tensors, stages with their parameters, ports. `ncs.simulator.reader` reads them."""

from __future__ import annotations

from typing import NamedTuple

DTYPES = {0: ("FP16", 2), 1: ("U8", 1), 2: ("S32", 4), 3: ("FP32", 4), 4: ("I8", 1)}


class TensorRef(NamedTuple):
    """A tensor as a stage names it: axes and byte strides from the outermost on, spelled by `order` (NCHW)."""

    dtype: str
    order: str
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    location: str
    buffer: int  # which input or output; 0 elsewhere
    offset: int

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return dict(DTYPES.values())[self.dtype]

    @property
    def extent(self) -> int:
        """Bytes from the first element to the end of the last one."""
        return sum((size - 1) * stride for size, stride in zip(self.dims, self.strides)) + self.itemsize

    def __str__(self) -> str:
        place = f"{self.location}[{self.offset}:{self.offset + self.extent}]"
        return f"{self.dtype} {self.order} {'x'.join(map(str, self.dims))} in {place}"


class Port(NamedTuple):
    """An input or output of the blob: its name and the tensor."""

    name: str
    tensor: TensorRef


class StageRecord(NamedTuple):
    """One stage: its number in the blob, kind, parameters as bytes, tensors, and a SHAVE stage injected into it."""

    number: int
    kind: str
    shaves: int
    params: bytes
    tensors: tuple[TensorRef, ...]
    injected: StageRecord | None = None

    def __str__(self) -> str:
        return f"stage {self.number} ({self.kind})"


class Program(NamedTuple):
    """All of a blob that a simulator runs; sizes in bytes."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    stages: tuple[StageRecord, ...]
    constants: memoryview
    bss_size: int
    cmx_size: int
    shaves: int
    platform: str
    batch: int  # how often the stages run for one inference, on one part of the inputs each
