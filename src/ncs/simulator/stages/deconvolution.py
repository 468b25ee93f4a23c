"""Deconvolution and DepthDeconv on SHAVE cores: a convolution of the input with zeros between its values.

The compiler rotates the kernels by 180 degrees, so the stored weights are used without another rotation. Their order is
(position, output, input); for DepthDeconv (channel, position), or (position, channel) with channels innermost.
"""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.products import convolve, view_windows
from ncs.simulator.program import TensorRef
from ncs.simulator.stages import stage


@stage("Deconvolution")
def deconvolution(call: Call) -> None:
    """Deconvolve. Tensors: input, output, weights (and work memory)."""
    kernel, size, images = _insert_zeros(call)
    inputs, outputs = images.shape[1], _axis(call.tensor(1), "C")

    def unpack(packed: np.ndarray) -> np.ndarray:
        ordered = packed.reshape(-1, outputs, inputs).transpose(1, 2, 0)
        return np.ascontiguousarray(ordered).reshape(outputs, -1)

    weights = call.constant(2, unpack)
    call.count.macs += weights.size * _pixels(call)
    call.write_image(1, np.stack([convolve(image, weights, kernel, (1, 1), size, half=call.half) for image in images]))


@stage("DepthDeconv")
def depthwise(call: Call) -> None:
    """Deconvolve each channel separately. Tensors: input, output, weights."""
    kernel, size, images = _insert_zeros(call)
    channels = images.shape[1]
    packed = call.read(2).reshape(-1)
    innermost = call.tensor(0).order.endswith("C")
    weights = packed.reshape(-1, channels).T if innermost else packed.reshape(channels, -1)
    results = []
    for image in images:
        windows = view_windows(image, kernel, (1, 1), size, (1, 1)).reshape(channels, -1, *size)
        results.append(np.einsum("ckhw,ck->chw", windows, weights))
    call.count.macs += weights.size * _pixels(call)
    call.write_image(1, np.stack(results))


def _insert_zeros(call: Call) -> tuple:
    """Return (kernel, output size, input with stride - 1 zeros between its values and padding for the kernel)."""
    kernel_x, kernel_y, stride_x, stride_y, left, top = call.params("I" * 6)
    image, target = call.image(0), call.tensor(1)
    kernel, stride, before = (kernel_y, kernel_x), (stride_y, stride_x), (top, left)
    size = (_axis(target, "H"), _axis(target, "W"))
    expanded = np.zeros((*image.shape[:2], *[n + k - 1 for n, k in zip(size, kernel)]), np.float32)
    rows, columns = (
        [k - 1 - b + s * i for i in range(n)] for k, b, s, n in zip(kernel, before, stride, image.shape[2:])
    )
    inside = [
        [i for i, position in enumerate(positions) if 0 <= position < n]
        for positions, n in zip((rows, columns), expanded.shape[2:])
    ]
    target_index = np.ix_([rows[i] for i in inside[0]], [columns[i] for i in inside[1]])
    expanded[:, :, target_index[0], target_index[1]] = image[:, :, inside[0]][:, :, :, inside[1]]
    return kernel, size, expanded


def _pixels(call: Call) -> int:
    """Return the number of input pixels, each multiplied by the whole kernel."""
    source = call.tensor(0)
    return _axis(source, "N") * _axis(source, "H") * _axis(source, "W")


def _axis(tensor: TensorRef, letter: str) -> int:
    return dict(zip(tensor.order, tensor.dims)).get(letter, 1)
