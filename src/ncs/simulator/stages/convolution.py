"""Conv and Im2ColConvolution on SHAVE cores, and DepthConv.

The blob does not say how the weights are packed; it follows from the sizes, by the compiler's rules. With channels
innermost (NHWC): small odd kernels with few channels (position, input, output), 1x1 (output, input), 3x3 (position,
output, input), all others (output, position, input). With channels outermost: 1x1 (output, input), all others
(position, output, input).
"""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.products import convolve, pad_image, view_windows
from ncs.simulator.program import TensorRef
from ncs.simulator.stages import stage


@stage("Conv", "Im2ColConvolution")
def convolution(call: Call) -> None:
    """Convolve. Tensors: input, output, weights (and work memory)."""
    kernel, stride, before, dilation = _geometry(call)
    source, target = call.tensor(0), call.tensor(1)
    inputs, outputs = _channels(source), _channels(target)
    size = _size(target)
    weights = call.constant(
        2, lambda packed: unpack_weights(packed, kernel, inputs, outputs, source.order, call.record.kind)
    )
    required = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(size, stride, kernel, dilation)]
    call.count.macs += weights.size * size[0] * size[1] * dict(zip(source.order, source.dims)).get("N", 1)
    images = (pad_image(image, before, required) for image in call.image(0))
    call.write_image(1, np.stack([convolve(x, weights, kernel, stride, size, dilation, call.half) for x in images]))


def unpack_weights(packed: np.ndarray, kernel: tuple, inputs: int, outputs: int, order: str, kind: str) -> np.ndarray:
    """Return packed weights as (O, C·kh·kw)."""
    height, width = kernel
    positions = height * width
    flat = packed.reshape(-1)
    if flat.size != positions * inputs * outputs:
        raise ValueError(f"weights: expected {outputs}x{inputs}x{height}x{width}, received {flat.size}")
    if positions == 1:
        return np.ascontiguousarray(flat.reshape(outputs, inputs))
    small = 1 < width < 12 and width % 2 == 1 and height != 1 and inputs * outputs <= 256
    if not order.endswith("C"):
        axes, shape = (1, 2, 0), (positions, outputs, inputs)
    elif small and kind == "Conv":
        axes, shape = (2, 1, 0), (positions, inputs, outputs)
    elif kernel == (3, 3) and kind == "Conv":
        axes, shape = (1, 2, 0), (positions, outputs, inputs)
    else:
        axes, shape = (0, 2, 1), (outputs, positions, inputs)
    return np.ascontiguousarray(flat.reshape(shape).transpose(axes)).reshape(outputs, inputs * positions)


@stage("DepthConv")
def depthwise(call: Call) -> None:
    """Convolve each channel separately. Tensors: input, output, weights (position, channel)."""
    kernel, stride, before, dilation = _geometry(call)
    size = _size(call.tensor(1))
    channels = _channels(call.tensor(1))
    weights = call.read(2).reshape(kernel[0] * kernel[1], channels)
    required = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(size, stride, kernel, dilation)]
    results = []
    for image in call.image(0):
        windows = view_windows(pad_image(image, before, required), kernel, stride, size, dilation)
        results.append(np.einsum("ckhw,kc->chw", windows.reshape(channels, -1, *size), weights))
    call.count.macs += weights.size * size[0] * size[1] * len(results)
    call.write_image(1, np.stack(results))


def _geometry(call: Call) -> tuple:
    """Read (kernel, stride, padding before, dilation), each (height, width)."""
    words = call.params("I" * 8)
    return tuple((words[i + 1], words[i]) for i in (0, 2, 4, 6))


def _channels(tensor: TensorRef) -> int:
    return dict(zip(tensor.order, tensor.dims)).get("C", 1)


def _size(tensor: TensorRef) -> tuple:
    axes = dict(zip(tensor.order, tensor.dims))
    return axes.get("H", 1), axes.get("W", 1)
