"""RegionYolo and ReorgYolo, the last layers of YOLO."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("RegionYolo")
def region(call: Call) -> None:
    """Sigmoid of x, y and objectness; softmax (version 2) or sigmoid (version 3) of the classes."""
    classes, coords, regions, masked, by_softmax = call.params("iiiii")
    image = call.image(0)
    count = regions if by_softmax else masked
    boxes = image.reshape(len(image), count, coords + 1 + classes, -1).copy()
    boxes[:, :, [0, 1, coords]] = _sigmoid(boxes[:, :, [0, 1, coords]])
    scores = boxes[:, :, coords + 1 :]
    if by_softmax:
        powers = np.exp(scores - scores.max(2, keepdims=True))
        boxes[:, :, coords + 1 :] = powers / powers.sum(2, keepdims=True)
    else:
        boxes[:, :, coords + 1 :] = _sigmoid(scores)
    call.write(1, boxes.reshape(call.tensor(1).dims))


@stage("ReorgYolo")
def reorg(call: Call) -> None:
    """Reorder stride x stride pixels of a channel to channels, in the order of Darknet's reorg layer."""
    stride = call.param("i")
    image = call.image(0)
    batch, channels, height, width = image.shape
    outer = channels // (stride * stride)
    c, y, x = np.meshgrid(range(channels), range(height), range(width), indexing="ij")
    block = c // outer
    rows = c % outer * height * stride + y * stride + block // stride
    positions = rows * width * stride + x * stride + block % stride
    result = image.reshape(batch, -1)[:, positions.reshape(-1)]
    call.write_image(1, result.reshape(batch, channels * stride * stride, height // stride, width // stride))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
