"""ROIPooling and PSROIPooling: pool each region of an image to a grid of fixed size."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("ROIPooling")
def roi_pooling(call: Call) -> None:
    """Max-pool regions (image, x0, y0, x1, y1), like Fast R-CNN. Tensors: input, output, regions."""
    width, height, scale, method = call.params("IIfI")
    if method != 0:
        raise call.error("bilinear ROI pooling is not supported")
    image, regions = call.image(0), call.read(2).reshape(-1, 5)
    result = np.zeros((len(regions), image.shape[1], height, width), np.float32)
    for number, (index, *corners) in enumerate(regions):
        x0, y0, x1, y1 = (int(np.floor(corner * np.float32(scale) + 0.5)) for corner in corners)
        rows = _cells(y0, max(y1 - y0 + 1, 1), height, image.shape[2])
        columns = _cells(x0, max(x1 - x0 + 1, 1), width, image.shape[3])
        for y, (top, bottom) in enumerate(rows):
            for x, (left, right) in enumerate(columns):
                if top < bottom and left < right:
                    result[number, :, y, x] = image[int(index), :, top:bottom, left:right].max((1, 2))
    call.write_image(1, result)


def _cells(start: int, length: int, count: int, limit: int) -> list:
    size = length / count
    edges = [(int(np.floor(i * size)) + start, int(np.ceil((i + 1) * size)) + start) for i in range(count)]
    return [(min(max(low, 0), limit), min(max(high, 0), limit)) for low, high in edges]


@stage("PSROIPooling")
def psroi_pooling(call: Call) -> None:
    """Average-pool regions; each grid cell has its own channel (R-FCN). Tensors: input, output, regions."""
    group, outputs, scale = call.params("IIf")
    image, regions = call.image(0), call.read(2).reshape(-1, 5)
    result = np.zeros((len(regions), outputs, group, group), np.float32)
    channels = image.reshape(len(image), outputs, group, group, *image.shape[2:])
    for number, (index, *corners) in enumerate(regions):
        x0, y0 = (np.floor(corner + 0.5) * scale for corner in corners[:2])
        x1, y1 = ((np.floor(corner + 0.5) + 1) * scale for corner in corners[2:])
        rows = _unrounded_cells(y0, max(y1 - y0, 0.1), group, image.shape[2])
        columns = _unrounded_cells(x0, max(x1 - x0, 0.1), group, image.shape[3])
        for y, (top, bottom) in enumerate(rows):
            for x, (left, right) in enumerate(columns):
                if top < bottom and left < right:
                    cell = channels[int(index), :, y, x, top:bottom, left:right]
                    result[number, :, y, x] = cell.mean((1, 2))
    call.write_image(1, result)


def _unrounded_cells(start: float, length: float, count: int, limit: int) -> list:
    size = length / count
    edges = [(int(np.floor(i * size + start)), int(np.ceil((i + 1) * size + start))) for i in range(count)]
    return [(min(max(low, 0), limit), min(max(high, 0), limit)) for low, high in edges]
