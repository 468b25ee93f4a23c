"""MyriadXHwOp: the convolution engines of Myriad X (convolution, convolution with pooling, fully connected, pooling).

Sums are accumulated in float32 and rounded to FP16 once, when the engine stores them: (sum + bias) · scale, then ReLU,
then clamp. The blob contains no padding sizes: an engine pads by kernel // 2 at the top and left; max pooling encodes
which edges it repeats; the padding of average pooling is not encoded completely, which is reported as an assumption.
"""

from __future__ import annotations

import numpy as np

from ncs.simulator import operations as hw
from ncs.simulator.call import Call, as_image
from ncs.simulator.products import pad_image, pool, unfold
from ncs.simulator.stages import stage


@stage("MyriadXHwOp")
def hardware_operations(call: Call) -> None:
    """Run all operations of one stage; operations with the same input share its unfolded form."""
    cache: dict[object, np.ndarray] = {}
    for operation in hw.read_operations(call.record.params, call.record.number):
        if operation.type == hw.POOL:
            _pool(call, operation, cache)
        elif operation.type == hw.FC:
            _fully_connected(call, operation, cache)
        else:
            _convolution(call, operation, cache)


def _convolution(call: Call, operation: hw.Operation, cache: dict) -> None:
    first, count = operation.channels
    weights = call.constant(operation.weights, _unpack_weights)
    output = call.tensor(operation.output)
    axes = dict(zip(output.order, output.dims))
    size = (axes["H"] * _pool_stride(operation, 0), axes["W"] * _pool_stride(operation, 1))
    columns = _columns(call, operation, cache, weights, size)
    last = min(first + count, axes["C"])
    sums = call.matmul(weights[first:last], columns)
    result = _postprocess(call, operation, sums, first, last).reshape(1, last - first, *size)
    if operation.type == hw.CONV_POOL:
        result = pool(result[0], (2, 2), (2, 2), (size[0] // 2, size[1] // 2), np.maximum)[None]
    _write_channels(call, operation.output, result, first)


def _pool_stride(operation: hw.Operation, axis: int) -> int:
    if operation.type != hw.CONV_POOL:
        return 1
    if operation.pool != (2, 2):
        raise ValueError(f"pooling after a convolution: expected (2, 2), received {operation.pool}")
    return operation.pool[axis]


def _unpack_weights(packed: np.ndarray) -> np.ndarray:
    """Reshape weights from (O/8, C, K, 8) to (O, C·K)."""
    groups, channels, positions, lanes = packed.shape
    return np.ascontiguousarray(packed.transpose(0, 3, 1, 2)).reshape(groups * lanes, channels * positions)


def _columns(call: Call, operation: hw.Operation, cache: dict, weights: np.ndarray, size: tuple) -> np.ndarray:
    key = (operation.input, operation.kernel, operation.stride, operation.pad, size)
    if key not in cache:
        image = _image(call, operation, weights)
        stride = (operation.stride, operation.stride)
        required = [(o - 1) * operation.stride + k for o, k in zip(size, operation.kernel)]
        if operation.pad:
            image = pad_image(image, tuple(k // 2 for k in operation.kernel), required)
        cache[key] = unfold(image, operation.kernel, stride, size, (1, 1))
    return cache[key]


def _image(call: Call, operation: hw.Operation, weights: np.ndarray) -> np.ndarray:
    """Return the input as (C, H, W); unwritten channels that only fill up a word must have zero weights."""
    values, unwritten = call.read_with_mask(operation.input)
    order = call.tensor(operation.input).order
    if "N" in order and values.shape[order.index("N")] != 1:
        raise call.error("batch size of a convolution: expected 1, received several images")
    image = as_image(values, order)[0]
    if unwritten is not None:
        unwritten = as_image(unwritten, order)[0]
        channels = unwritten.any((1, 2))
        used = weights.reshape(len(weights), len(image), -1)[:, channels].any()
        call.report_unwritten(operation.input, int(unwritten.sum()), not used)
        if not used:
            image[channels] = 0
    return image


def _fully_connected(call: Call, operation: hw.Operation, cache: dict) -> None:
    weights = call.constant(operation.weights, _unpack_weights)
    first, count = operation.channels
    begin, length = operation.fc_input
    if "values" not in cache:
        cache["values"] = call.read(operation.input).reshape(-1)
    values = cache["values"][begin : begin + length]
    last = min(first + count, len(weights))
    sums = call.matmul(weights[first:last, begin : begin + len(values)], values[:, None])
    sums = sums + cache.pop(("sum", first), 0)
    if operation.fc_accumulate:
        cache["sum", first] = sums
        return
    output = call.tensor(operation.output)
    last = min(last, dict(zip(output.order, output.dims))["C"])
    result = _postprocess(call, operation, sums[: last - first], first, last)
    _write_channels(call, operation.output, result.reshape(1, last - first, 1, 1), first)


def _postprocess(call: Call, operation: hw.Operation, sums: np.ndarray, first: int, last: int) -> np.ndarray:
    """Apply bias, scale, ReLU and clamp to (channels, positions)."""
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
    """Store (1, channels, H, W) at the channels starting with `first`."""
    tensor = call.tensor(number)
    axis = tensor.order.index("C")
    dims = tensor.dims[:axis] + (result.shape[1],) + tensor.dims[axis + 1 :]
    part = tensor._replace(dims=dims, offset=tensor.offset + first * tensor.strides[axis])
    call.store(part, result)


def _pool(call: Call, operation: hw.Operation, cache: dict) -> None:
    """Pool; channels are numbered across the batch: (n, c) is channel n·C + c."""
    if operation.input not in cache:
        cache[operation.input] = call.image(operation.input)
    image, output = cache[operation.input], call.tensor(operation.output)
    axes = dict(zip(output.order, output.dims))
    size = (axes["H"], axes["W"])
    batch, channels = image.shape[:2]
    image = image.reshape(batch * channels, *image.shape[2:])
    first, count = operation.channels
    last = min(first + count, len(image))
    pooled = _pool_windows(call, operation, image[first:last], size)
    threshold, below, above = operation.relu
    if (below, above) != (1, 1):
        pooled = np.where(pooled < threshold, pooled * below, pooled * above)
    if batch == 1:
        return _write_channels(call, operation.output, pooled[None], first)
    for index in range(first, last):
        _write_plane(call, operation.output, pooled[index - first], *divmod(index, channels))


def _pool_windows(call: Call, operation: hw.Operation, image: np.ndarray, size: tuple) -> np.ndarray:
    required = [(o - 1) * operation.stride + k for o, k in zip(size, operation.kernel)]
    is_max = operation.pool_type == 0
    if operation.pad:
        image = pad_image(image, _padding_before(call, operation), required, -np.inf if is_max else 0.0)
    stride = (operation.stride, operation.stride)
    result = pool(image, operation.kernel, stride, size, np.maximum if is_max else np.add)
    return result if is_max else result / np.float32(operation.kernel[0] * operation.kernel[1])


def _padding_before(call: Call, operation: hw.Operation) -> tuple:
    """Return the padding (top, left): per edge for max pooling, kernel // 2 for average pooling."""
    before = [kernel // 2 for kernel in operation.kernel]
    if operation.pool_type == 0:
        edges = (hw.REPEAT_TOP, hw.REPEAT_LEFT)
        return tuple(pad if operation.pad_mode & edge else 0 for pad, edge in zip(before, edges))
    call.report_assumption(
        "average pooling with padding: the blob does not encode the padded edges, nor whether padding counts; "
        "assumed: kernel // 2 at the top and left, counted"
    )
    return tuple(before)


def _write_plane(call: Call, number: int, plane: np.ndarray, batch: int, channel: int) -> None:
    tensor = call.tensor(number)
    offset, dims = tensor.offset, list(tensor.dims)
    for letter, index in (("N", batch), ("C", channel)):
        if letter in tensor.order:
            axis = tensor.order.index(letter)
            offset += index * tensor.strides[axis]
            dims[axis] = 1
    call.store(tensor._replace(dims=tuple(dims), offset=offset), plane[None, None])
