"""Stages that select, join or repeat elements: Gather, TopK, Tile, Concat, Select, StridedSlice, Broadcast."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call, caffe_order
from ncs.simulator.stages import stage


def _axis(call: Call, values: np.ndarray, innermost: int) -> int:
    axis = values.ndim - 1 - innermost
    if not 0 <= axis < values.ndim:
        raise call.error(f"axis from the innermost: expected 0 to {values.ndim - 1}, received {innermost}")
    return axis


@stage("Gather")
def gather(call: Call) -> None:
    """Take elements along an axis. Tensors: input, output, indices."""
    values, indices = call.read(0), call.read(2).astype(np.int64)
    axis = _axis(call, values, call.param("i"))
    if indices.size and not -values.shape[axis] <= indices.min() <= indices.max() < values.shape[axis]:
        raise call.error(f"indices: expected below {values.shape[axis]}, received {indices.min()} to {indices.max()}")
    call.write(1, np.take(values, indices, axis).reshape(call.tensor(1).dims))


@stage("TopK")
def top_k(call: Call) -> None:
    """Select the k largest or smallest; ties keep their order. Tensors: input, k, values or indices or both."""
    innermost, smallest, by_index, with_values, with_indices = call.params("iiiii")
    values = call.read(0)
    axis, count = _axis(call, values, innermost), int(call.read(1).reshape(-1)[0])
    order = np.argsort(values if smallest else -values, axis, kind="stable").take(range(count), axis)
    if by_index == 2:
        order = np.sort(order, axis)
    outputs = iter(range(2, 4))
    if with_values:
        call.write(next(outputs), np.take_along_axis(values, order, axis))
    if with_indices:
        call.write(next(outputs), order.astype(np.int32))


@stage("Tile")
def tile(call: Call) -> None:
    """Repeat along one axis. Tensors: input, output."""
    innermost, times = call.params("ii")
    values = call.read(0)
    repeats = [1] * values.ndim
    repeats[_axis(call, values, innermost)] = times
    call.write(1, np.tile(values, repeats))


@stage("Concat")
def concat(call: Call) -> None:
    """Concatenate along one axis. Tensors: inputs, output."""
    innermost, count = call.params("II")
    parts = [call.read(number) for number in range(min(count, len(call.tensors) - 1))]
    call.write(len(parts), np.concatenate(parts, _axis(call, parts[0], innermost)))


@stage("Select")
def select(call: Call) -> None:
    """Select per element. Tensors: condition, output, value if true, value if false."""
    condition, if_true, if_false = (call.read(number) for number in (0, 2, 3))
    call.write(1, np.broadcast_to(np.where(condition != 0, if_true, if_false), call.tensor(1).dims))


@stage("StridedSlice")
def strided_slice(call: Call) -> None:
    """Slice in Caffe's order of axes; a mask bit enables a limit. Tensors: input, begins, ends, steps, output."""
    begin_mask, end_mask = call.params("II")
    values, order = call.read_caffe_order(0), call.tensor(4).order
    begins, ends = (call.read(number).reshape(-1) for number in (1, 2))
    steps = call.read(3).reshape(-1) if call.has(3) else np.ones(len(begins), np.int32)
    slices = []
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps)):
        first = int(begin) if begin_mask >> axis & 1 else None
        last = int(end) if end_mask >> axis & 1 else None
        slices.append(slice(first, last, int(step)))
    result, axes = values[tuple(slices)], caffe_order(order)
    call.write(4, result.transpose([axes.index(letter) for letter in order]))


@stage("Broadcast")
def broadcast(call: Call) -> None:
    """Broadcast to a shape. Tensors: input, shape (and axes in explicit mode), output."""
    mode = call.param("i")
    values, number = call.read(0), len(call.tensors) - 1
    target = call.tensor(number)
    if mode == 2 or (len(call.tensors) == 4):
        axes = call.read(2).reshape(-1)
        shape = [1] * len(target.dims)
        for size, axis in zip(values.shape, axes):
            shape[int(axis)] = size
        values = values.reshape(shape)
    call.write(number, np.broadcast_to(values, target.dims))
