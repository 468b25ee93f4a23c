"""Static checks of a blob's memory layout: races, alignment and overlapping elements."""

from __future__ import annotations

import numpy as np

from ncs.simulator.operations import read_operations
from ncs.simulator.program import Program, StageRecord, TensorRef

ALIGNMENT = 16  # bytes; required by the convolution engines


def layout_faults(program: Program) -> list[str]:
    """Return all faults of a blob's memory layout, one line each."""
    lines = [line for stage in program.stages for line in _check_stage(stage)]
    return lines + races(program)


def _check_stage(stage: StageRecord) -> list[str]:
    lines = [line for tensor in stage.tensors for line in _check_tensor(stage, tensor)]
    return lines + (_check_stage(stage.injected) if stage.injected else [])


def _check_tensor(stage: StageRecord, tensor: TensorRef) -> list[str]:
    if tensor.location == "none":
        return []
    inner_size = tensor.itemsize
    for size, stride in zip(reversed(tensor.dims), reversed(tensor.strides)):
        if size > 1 and stride < inner_size:
            return [
                f"{stage}: elements overlap, expected a stride of at least {inner_size}, received {stride}: {tensor}"
            ]
        inner_size = max(inner_size, stride * size if size > 1 else stride)
    if stage.kind == "MyriadXHwOp" and len(tensor.dims) > 2:
        misaligned_rows = tensor.strides[-2] % ALIGNMENT if tensor.dims[-2] > 1 and tensor.dims[-1] > 1 else 0
        if tensor.strides[-1] != tensor.itemsize and tensor.dims[-1] > 1:
            return [
                f"{stage}: the elements of a row are {tensor.strides[-1]} bytes apart, "
                f"expected {tensor.itemsize}: {tensor}"
            ]
        if misaligned_rows or tensor.offset % ALIGNMENT:
            return [
                f"{stage}: the engines require rows at multiples of {ALIGNMENT} bytes: {tensor}, "
                f"strides {tensor.strides}"
            ]
    return []


def races(program: Program) -> list[str]:
    """Return one line per pair of overlapping tensors that concurrent stages access, at least one of them writing."""
    return [line for stage in program.stages if stage.injected for line in _races(stage, stage.injected)]


def _races(stage: StageRecord, injected: StageRecord) -> list[str]:
    reads, writes = _hardware_access(stage)
    others = injected.tensors
    pairs = [(a, b) for a in writes for b in others] + [(a, others[1]) for a in reads if len(others) > 1]
    return [
        f"{stage} and {injected.kind}, which runs at the same time, access the same bytes: {first} and {second}"
        for first, second in pairs
        if overlap(first, second)
    ]


def _hardware_access(stage: StageRecord) -> tuple[list[TensorRef], list[TensorRef]]:
    written = {operation.output for operation in read_operations(stage.params, stage.number)}
    reads = [tensor for number, tensor in enumerate(stage.tensors) if number not in written]
    return reads, [tensor for number, tensor in enumerate(stage.tensors) if number in written]


def overlap(first: TensorRef, second: TensorRef) -> bool:
    """Return whether two tensors share a byte; interleaved rows do not overlap."""
    if (first.location, first.buffer) != (second.location, second.buffer) or first.location in ("none", "blob"):
        return False
    begin = max(first.offset, second.offset)
    end = min(first.offset + first.extent, second.offset + second.extent)
    if begin >= end:
        return False
    start = min(first.offset, second.offset)
    size = max(first.offset + first.extent, second.offset + second.extent) - start
    return bool((_covered_bytes(first, start, size) & _covered_bytes(second, start, size)).any())


def _covered_bytes(tensor: TensorRef, start: int, size: int) -> np.ndarray:
    """Return the mask of the bytes that a tensor covers, of `size` bytes from `start`."""
    covered = np.zeros(size, np.bool_)
    dims, strides = (*tensor.dims, tensor.itemsize), (*tensor.strides, 1)
    np.ndarray(dims, np.bool_, covered, tensor.offset - start, strides)[...] = True
    return covered
