"""MyriadXHwOp: the convolution engines of Myriad X (convolution, with pooling, fully connected, pooling).

Sums are made in float32 and rounded to FP16 once, where the engine stores. The order is (sum + bias) · scale, then
ReLU, then clamp. Padding is not in the file: an engine that pads has kernel // 2 in front; a maximum that repeats edges
says which ones; of a padded average the file does not say enough, and the report says so.
"""

from __future__ import annotations

import numpy as np

from ncs.simulator import operations as hw
from ncs.simulator.call import Call, as_image
from ncs.simulator.products import matmul, padded, pool, unfold
from ncs.simulator.stages import stage


@stage("MyriadXHwOp")
def hardware_operations(call: Call) -> None:
    """Run all operations of one stage; those that read the same input share what was made of it."""
    shared = {}
    for operation in hw.read_operations(call.record.params, call.record.number):
        if operation.type == hw.POOL:
            _pool(call, operation, shared)
        elif operation.type == hw.FC:
            _fully_connected(call, operation, shared)
        else:
            _convolution(call, operation, shared)


def _convolution(call: Call, operation: hw.Operation, shared: dict) -> None:
    first, count = operation.channels
    weights = call.constant(operation.weights, _unpacked)
    output = call.tensor(operation.output)
    axes = dict(zip(output.order, output.dims))
    size = (axes["H"] * _pool_stride(operation, 0), axes["W"] * _pool_stride(operation, 1))
    columns = _columns(call, operation, shared, weights, size)
    last = min(first + count, axes["C"])
    sums = matmul(weights[first:last], columns, call.half)
    result = _finished(call, operation, sums, first, last).reshape(1, last - first, *size)
    if operation.type == hw.CONV_POOL:
        result = pool(result[0], (2, 2), (2, 2), (size[0] // 2, size[1] // 2), np.maximum)[None]
    _write_channels(call, operation.output, result, first)


def _pool_stride(operation: hw.Operation, axis: int) -> int:
    if operation.type != hw.CONV_POOL:
        return 1
    if operation.pool != (2, 2):
        raise ValueError(f"a convolution with a pooling of {operation.pool}; the engines pool by 2x2")
    return operation.pool[axis]


def _unpacked(packed: np.ndarray) -> np.ndarray:
    """(O/8, C, K, 8) -> (O, C·K)."""
    groups, channels, positions, lanes = packed.shape
    return np.ascontiguousarray(packed.transpose(0, 3, 1, 2)).reshape(groups * lanes, channels * positions)


def _columns(call: Call, operation: hw.Operation, shared: dict, weights: np.ndarray, size: tuple) -> np.ndarray:
    key = (operation.input, operation.kernel, operation.stride, operation.pad, size)
    if key not in shared:
        image = _image(call, operation, weights)
        stride = (operation.stride, operation.stride)
        need = [(o - 1) * operation.stride + k for o, k in zip(size, operation.kernel)]
        if operation.pad:
            image = padded(image, tuple(k // 2 for k in operation.kernel), need)
        shared[key] = unfold(image, operation.kernel, stride, size, (1, 1))
    return shared[key]


def _image(call: Call, operation: hw.Operation, weights: np.ndarray) -> np.ndarray:
    """(C, H, W). Channels that were added to fill up a word may never have been written: their weights must be zero."""
    values, missing = call.read_partly(operation.input)
    order = call.tensor(operation.input).order
    if "N" in order and values.shape[order.index("N")] != 1:
        raise call.error("convolves several images; the engines take one")
    image = as_image(values, order)[0]
    if missing is not None:
        missing = as_image(missing, order)[0]
        channels = missing.any((1, 2))
        used = weights.reshape(len(weights), len(image), -1)[:, channels].any()
        call.note_missing(operation.input, int(missing.sum()), not used)
        if not used:
            image[channels] = 0
    return image


def _fully_connected(call: Call, operation: hw.Operation, shared: dict) -> None:
    weights = call.constant(operation.weights, _unpacked)
    first, count = operation.channels
    begin, length = operation.fc_input
    if "values" not in shared:
        shared["values"] = call.read(operation.input).reshape(-1)
    values = shared["values"][begin : begin + length]
    last = min(first + count, len(weights))
    sums = matmul(weights[first:last, begin : begin + len(values)], values[:, None], call.half)
    sums = sums + shared.pop(("sum", first), 0)
    if operation.fc_accumulate:
        shared["sum", first] = sums
        return
    output = call.tensor(operation.output)
    last = min(last, dict(zip(output.order, output.dims))["C"])
    result = _finished(call, operation, sums[: last - first], first, last)
    _write_channels(call, operation.output, result.reshape(1, last - first, 1, 1), first)


def _finished(call: Call, operation: hw.Operation, sums: np.ndarray, first: int, last: int) -> np.ndarray:
    """Bias, scale, ReLU and clamp of (channels, positions)."""
    if operation.biases >= 0:
        sums = sums + call.constant(operation.biases, np.ravel)[first:last, None]
    if operation.scales >= 0:
        sums = sums * call.constant(operation.scales, np.ravel)[first:last, None]
    threshold, below, above = operation.relu
    if (threshold, below, above) == (0, 0, 1):
        sums = np.maximum(sums, 0)
    elif (below, above) != (1, 1):
        sums = np.where(sums < threshold, sums * below, sums * above)
    if operation.clamp != float("inf"):
        sums = np.clip(sums, 0, operation.clamp)
    return sums


def _write_channels(call: Call, number: int, result: np.ndarray, first: int) -> None:
    """Store (1, channels, H, W) as the channels from `first` on."""
    tensor = call.tensor(number)
    axis = tensor.order.index("C")
    dims = tensor.dims[:axis] + (result.shape[1],) + tensor.dims[axis + 1 :]
    part = tensor._replace(dims=dims, offset=tensor.offset + first * tensor.strides[axis])
    call.store(part, result)


def _pool(call: Call, operation: hw.Operation, shared: dict) -> None:
    """Channels count through the batch: (n, c) is channel n·C + c."""
    if operation.input not in shared:
        shared[operation.input] = call.image(operation.input)
    image, output = shared[operation.input], call.tensor(operation.output)
    axes = dict(zip(output.order, output.dims))
    size = (axes["H"], axes["W"])
    batch, channels = image.shape[:2]
    image = image.reshape(batch * channels, *image.shape[2:])
    first, count = operation.channels
    last = min(first + count, len(image))
    pooled = _pooled(call, operation, image[first:last], size)
    threshold, below, above = operation.relu
    if (below, above) != (1, 1):
        pooled = np.where(pooled < threshold, pooled * below, pooled * above)
    if batch == 1:
        return _write_channels(call, operation.output, pooled[None], first)
    for index in range(first, last):
        _write_plane(call, operation.output, pooled[index - first], *divmod(index, channels))


def _pooled(call: Call, operation: hw.Operation, image: np.ndarray, size: tuple) -> np.ndarray:
    need = [(o - 1) * operation.stride + k for o, k in zip(size, operation.kernel)]
    greatest = operation.pool_type == 0
    if operation.pad:
        image = padded(image, _in_front(call, operation), need, -np.inf if greatest else 0.0)
    stride = (operation.stride, operation.stride)
    result = pool(image, operation.kernel, stride, size, np.maximum if greatest else np.add)
    return result if greatest else result / np.float32(operation.kernel[0] * operation.kernel[1])


def _in_front(call: Call, operation: hw.Operation) -> tuple:
    """Rows and columns of padding in front. The greatest value says so edge by edge; an average pads kernel // 2."""
    front = [kernel // 2 for kernel in operation.kernel]
    if operation.pool_type == 0:
        edges = (hw.REPEAT_TOP, hw.REPEAT_LEFT)
        return tuple(pad if operation.pad_mode & edge else 0 for pad, edge in zip(front, edges))
    call.note(
        "an average with padding: the blob does not say on which edges, nor whether padding counts; assumed: kernel "
        "// 2 in front, and counted"
    )
    return tuple(front)


def _write_plane(call: Call, number: int, plane: np.ndarray, batch: int, channel: int) -> None:
    tensor = call.tensor(number)
    offset, dims = tensor.offset, list(tensor.dims)
    for letter, index in (("N", batch), ("C", channel)):
        if letter in tensor.order:
            axis = tensor.order.index(letter)
            offset += index * tensor.strides[axis]
            dims[axis] = 1
    call.store(tensor._replace(dims=tuple(dims), offset=offset), plane[None, None])
