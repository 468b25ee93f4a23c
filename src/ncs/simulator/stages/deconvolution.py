"""Deconvolution and DepthDeconv on SHAVE cores: a convolution of the input with zeros between its values.

The compiler turns the kernels by 180 degrees, so what is stored is convolved as it is. Weights: (position, output,
input); of DepthDeconv (channel, position), or with channels innermost (position, channel).
"""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.products import convolve, view_windows
from ncs.simulator.stages import stage


@stage("Deconvolution")
def deconvolution(call: Call) -> None:
    """Input, output, weights (and memory to work in)."""
    kernel, size, images = _spread(call)
    inputs, outputs = images.shape[1], _axis(call.tensor(1), "C")

    def unpacked(packed: np.ndarray) -> np.ndarray:
        ordered = packed.reshape(-1, outputs, inputs).transpose(1, 2, 0)
        return np.ascontiguousarray(ordered).reshape(outputs, -1)

    weights = call.constant(2, unpacked)
    call.write_image(1, np.stack([convolve(image, weights, kernel, (1, 1), size, half=call.half) for image in images]))


@stage("DepthDeconv")
def depthwise(call: Call) -> None:
    """Input, output, weights: every channel by itself."""
    kernel, size, images = _spread(call)
    channels = images.shape[1]
    packed = call.read(2).reshape(-1)
    innermost = call.tensor(0).order.endswith("C")
    weights = packed.reshape(-1, channels).T if innermost else packed.reshape(channels, -1)
    results = []
    for image in images:
        windows = view_windows(image, kernel, (1, 1), size, (1, 1)).reshape(channels, -1, *size)
        results.append(np.einsum("ckhw,ck->chw", windows, weights))
    call.write_image(1, np.stack(results))


def _spread(call: Call) -> tuple:
    """(kernel, output size, input with stride - 1 zeros between values and what the kernel needs around)."""
    kernel_x, kernel_y, stride_x, stride_y, left, top = call.params("I" * 6)
    image, target = call.image(0), call.tensor(1)
    kernel, stride, before = (kernel_y, kernel_x), (stride_y, stride_x), (top, left)
    size = (_axis(target, "H"), _axis(target, "W"))
    spread = np.zeros((*image.shape[:2], *[n + k - 1 for n, k in zip(size, kernel)]), np.float32)
    rows, columns = (
        [k - 1 - b + s * i for i in range(n)] for k, b, s, n in zip(kernel, before, stride, image.shape[2:])
    )
    inside = [
        [i for i, place in enumerate(places) if 0 <= place < n] for places, n in zip((rows, columns), spread.shape[2:])
    ]
    target_index = np.ix_([rows[i] for i in inside[0]], [columns[i] for i in inside[1]])
    spread[:, :, target_index[0], target_index[1]] = image[:, :, inside[0]][:, :, :, inside[1]]
    return kernel, size, spread


def _axis(tensor, letter: str) -> int:
    return dict(zip(tensor.order, tensor.dims)).get(letter, 1)
