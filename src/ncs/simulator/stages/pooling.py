"""MaxPool, AvgPool and GlobalMaxPool on SHAVE cores."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.products import pad_image, pool
from ncs.simulator.stages import stage


@stage("MaxPool", "AvgPool", "GlobalMaxPool")
def pooling(call: Call) -> None:
    """Pool; the blob encodes whether an average counts padding. Tensors: input, output."""
    kernel_x, kernel_y, stride_x, stride_y, left, top, exclude = call.params("I" * 7)
    kernel, stride, before = (kernel_y, kernel_x), (stride_y, stride_x), (top, left)
    image, target = call.image(0), call.tensor(1)
    axes = dict(zip(target.order, target.dims))
    size = (axes.get("H", 1), axes.get("W", 1))
    if call.record.kind == "GlobalMaxPool":
        return call.write_image(1, image.max((2, 3), keepdims=True))
    planes = image.reshape(-1, *image.shape[2:])
    required = [(o - 1) * s + k for o, s, k in zip(size, stride, kernel)]
    is_max = call.record.kind == "MaxPool"
    padded_planes = pad_image(planes, before, required, -np.inf if is_max else 0.0)
    result = pool(padded_planes, kernel, stride, size, np.maximum if is_max else np.add)
    if not is_max:
        result = result / (
            _valid_counts(planes.shape[1:], kernel, stride, before, required, size) if exclude else kernel_x * kernel_y
        )
    call.write_image(1, result.reshape(image.shape[:2] + size))


def _valid_counts(shape: tuple, kernel: tuple, stride: tuple, before: tuple, required: list, size: tuple) -> np.ndarray:
    """Return the number of positions of each window that are not padding."""
    ones = pad_image(np.ones((1, *shape), np.float32), before, required)
    return pool(ones, kernel, stride, size, np.add)[0]
