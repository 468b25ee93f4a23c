"""Data structures of a blob for execution: tensors, stages and ports, as `ncs.simulator.reader` returns them."""

from __future__ import annotations

from typing import NamedTuple

DTYPES = {0: ("FP16", 2), 1: ("U8", 1), 2: ("S32", 4), 3: ("FP32", 4), 4: ("I8", 1)}


class TensorRef(NamedTuple):
    """A tensor in memory: `order` names its axes (NCHW); dims and byte strides are outermost first."""

    dtype: str
    order: str
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    location: str
    buffer: int  # index of the input or output; otherwise 0
    offset: int

    @property
    def itemsize(self) -> int:
        """Size of one element in bytes."""
        return dict(DTYPES.values())[self.dtype]

    @property
    def extent(self) -> int:
        """Number of bytes from the first element to the end of the last one."""
        return sum((size - 1) * stride for size, stride in zip(self.dims, self.strides)) + self.itemsize

    def __str__(self) -> str:
        location = f"{self.location}[{self.offset}:{self.offset + self.extent}]"
        return f"{self.dtype} {self.order} {'x'.join(map(str, self.dims))} in {location}"


class Port(NamedTuple):
    """An input or output of the blob."""

    name: str
    tensor: TensorRef


class StageRecord(NamedTuple):
    """One stage of a blob; `injected` is a SHAVE stage that runs concurrently with it."""

    number: int
    kind: str
    shaves: int
    params: bytes
    tensors: tuple[TensorRef, ...]
    injected: StageRecord | None = None

    def __str__(self) -> str:
        return f"stage {self.number} ({self.kind})"


class Program(NamedTuple):
    """A complete blob for execution; sizes in bytes."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    stages: tuple[StageRecord, ...]
    constants: memoryview
    bss_size: int
    cmx_size: int
    shaves: int
    platform: str
    batch: int  # number of times the stages run per inference, each on one part of the inputs
