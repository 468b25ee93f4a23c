"""What of a blob's memory can be checked before it runs: races, alignment, elements that lie on each other."""

from __future__ import annotations

import numpy as np

from ncs.simulator.operations import read_operations
from ncs.simulator.program import Program, StageRecord, TensorRef

ALIGNMENT = 16  # bytes, of what the convolution engines read and write


def faults(program: Program) -> list[str]:
    """Everything that is wrong, a line each."""
    lines = [line for stage in program.stages for line in _layout(stage)]
    return lines + races(program)


def _layout(stage: StageRecord) -> list[str]:
    lines = [line for tensor in stage.tensors for line in _tensor(stage, tensor)]
    return lines + (_layout(stage.injected) if stage.injected else [])


def _tensor(stage: StageRecord, tensor: TensorRef) -> list[str]:
    if tensor.location == "none":
        return []
    inner = tensor.itemsize
    for size, stride in zip(reversed(tensor.dims), reversed(tensor.strides)):
        if size > 1 and stride < inner:
            return [f"{stage}: elements lie on each other, a stride of {stride} where {inner} bytes lie: {tensor}"]
        inner = max(inner, stride * size if size > 1 else stride)
    if stage.kind == "MyriadXHwOp" and len(tensor.dims) > 2:
        rows = tensor.strides[-2] % ALIGNMENT if tensor.dims[-2] > 1 and tensor.dims[-1] > 1 else 0
        if tensor.strides[-1] != tensor.itemsize and tensor.dims[-1] > 1:
            return [
                f"{stage}: the elements of a row are {tensor.strides[-1]} bytes apart, "
                f"expected {tensor.itemsize}: {tensor}"
            ]
        if rows or tensor.offset % ALIGNMENT:
            return [
                f"{stage}: the engines need rows at multiples of {ALIGNMENT} bytes: {tensor}, strides {tensor.strides}"
            ]
    return []


def races(program: Program) -> list[str]:
    """A line for each pair of tensors that two stages of one moment access, at least one of them writing."""
    return [line for stage in program.stages if stage.injected for line in _races(stage, stage.injected)]


def _races(stage: StageRecord, beside: StageRecord) -> list[str]:
    reads, writes = _hardware_access(stage)
    others = beside.tensors
    pairs = [(a, b) for a in writes for b in others] + [(a, others[1]) for a in reads if len(others) > 1]
    return [
        f"{stage} and {beside.kind}, which runs beside it, both access bytes of {first} and of {second}"
        for first, second in pairs
        if overlap(first, second)
    ]


def _hardware_access(stage: StageRecord) -> tuple[list[TensorRef], list[TensorRef]]:
    written = {operation.output for operation in read_operations(stage.params, stage.number)}
    reads = [tensor for number, tensor in enumerate(stage.tensors) if number not in written]
    return reads, [tensor for number, tensor in enumerate(stage.tensors) if number in written]


def overlap(first: TensorRef, second: TensorRef) -> bool:
    """Whether two tensors share a byte; strides are followed, so interleaved rows do not count."""
    if (first.location, first.buffer) != (second.location, second.buffer) or first.location in ("none", "blob"):
        return False
    begin = max(first.offset, second.offset)
    end = min(first.offset + first.extent, second.offset + second.extent)
    if begin >= end:
        return False
    start = min(first.offset, second.offset)
    size = max(first.offset + first.extent, second.offset + second.extent) - start
    return bool((_bytes(first, start, size) & _bytes(second, start, size)).any())


def _bytes(tensor: TensorRef, start: int, size: int) -> np.ndarray:
    """Which of `size` bytes from `start` on the tensor covers."""
    covered = np.zeros(size, np.bool_)
    dims, strides = (*tensor.dims, tensor.itemsize), (*tensor.strides, 1)
    np.ndarray(dims, np.bool_, covered, tensor.offset - start, strides)[...] = True
    return covered
