"""MaxPool, AvgPool and GlobalMaxPool on SHAVE cores."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.products import padded, pool
from ncs.simulator.stages import stage


@stage("MaxPool", "AvgPool", "GlobalMaxPool")
def pooling(call: Call) -> None:
    """Input, output. An average leaves padding out of the count where the blob says so."""
    kernel_x, kernel_y, stride_x, stride_y, left, top, exclude = call.params("I" * 7)
    kernel, stride, before = (kernel_y, kernel_x), (stride_y, stride_x), (top, left)
    image, target = call.image(0), call.tensor(1)
    axes = dict(zip(target.order, target.dims))
    size = (axes.get("H", 1), axes.get("W", 1))
    if call.record.kind == "GlobalMaxPool":
        return call.write_image(1, image.max((2, 3), keepdims=True))
    planes = image.reshape(-1, *image.shape[2:])
    need = [(o - 1) * s + k for o, s, k in zip(size, stride, kernel)]
    greatest = call.record.kind == "MaxPool"
    planes_padded = padded(planes, before, need, -np.inf if greatest else 0.0)
    result = pool(planes_padded, kernel, stride, size, np.maximum if greatest else np.add)
    if not greatest:
        result = result / (
            _inside(planes.shape[1:], kernel, stride, before, need, size) if exclude else kernel_x * kernel_y
        )
    call.write_image(1, result.reshape(image.shape[:2] + size))


def _inside(shape: tuple, kernel: tuple, stride: tuple, before: tuple, need: list, size: tuple) -> np.ndarray:
    """How many positions of each window are not padding."""
    ones = padded(np.ones((1, *shape), np.float32), before, need)
    return pool(ones, kernel, stride, size, np.add)[0]
