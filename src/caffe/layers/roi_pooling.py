"""ROIPooling: max pooling of regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class ROIPooling(Layer):
    """Max pooling of regions (item, x1, y1, x2, y2 in pixels of the image, inclusive) (Fast R-CNN).

    Each region is divided into pooled_h x pooled_w bins; the value of an empty bin is 0. Corners are multiplied by
    spatial_scale and rounded half up; bins start at the floor and end at the ceiling of their exact borders (Girshick
    2015).
    """

    num_bottom = 2
    no_gradient = (1,)
    examples = (
        Example(
            "roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 }", [(1, 3, 5, 6), (4, 5)], ("normal", 1)
        ),
    )

    def setup(self, bottom: Shape, rois: Shape) -> None:
        p = self.param.roi_pooling_param
        self.pooled = (p.pooled_h, p.pooled_w)
        if len(p.pooled_size):
            self.pooled = tuple(p.pooled_size) * (3 - len(p.pooled_size))
        self.need(min(self.pooled) > 0, "pooled_h and pooled_w must be positive, received %s", self.pooled)
        self.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)

    def top_shapes(self, bottom: Shape, rois: Shape) -> list[Shape]:
        check_rois(self, rois)
        return [(rois[0], bottom[1], *self.pooled)]

    def forward(self, x: Tensor, rois: Tensor) -> Tensor:
        regions = rois.detach().reshape(-1, 5).cpu().numpy()
        planes = [_pool(x[int(region[0])], *self._bins(region, x.shape[2:])) for region in regions]
        return torch.stack(planes) if planes else x.new_zeros((0, x.shape[1], *self.pooled))

    def _bins(self, region, sizes):
        """Return (starts, ends) of the bins along both axes."""
        scale = np.float32(self.param.roi_pooling_param.spatial_scale)
        corners = np.floor(region[1:] * scale + np.float32(0.5)).astype(int)
        return [
            _borders(corners[first], corners[first + 2], count, size)
            for first, count, size in ((1, self.pooled[0], sizes[0]), (0, self.pooled[1], sizes[1]))
        ]

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rois = bottoms[1]
        if len(g.shape(rois)) != 2:
            rois = g.temp("rois")
            g.node("Reshape", [bottoms[1], g.constant([-1, 5], "shape")], [rois])
        scale = self.param.roi_pooling_param.spatial_scale
        g.node("MaxRoiPool", [bottoms[0], rois], tops, pooled_shape=list(self.pooled), spatial_scale=scale)


def check_rois(layer: Any, rois: Shape) -> None:
    """Raise CaffeError unless the regions are rows of 5 numbers."""
    layer.need(
        len(rois) >= 2 and rois[1] == 5 and all(n == 1 for n in rois[2:]),
        "regions must be rows of 5 numbers (item, x1, y1, x2, y2), received %s",
        rois,
    )


def _borders(first, last, count, size):
    """(start, end) of `count` bins from `first` to `last`, inclusive, inside 0 .. size."""
    step = np.float32(max(last - first + 1, 1)) / np.float32(count)
    number = np.arange(count, dtype=np.float32)
    starts, ends = np.floor(number * step).astype(int), np.ceil((number + 1) * step).astype(int)
    return list(zip((starts + first).clip(0, size), (ends + first).clip(0, size)))


def _pool(x, rows, columns):
    channels = x.shape[0]
    empty = x.new_zeros(channels)
    found = []
    for top, bottom in rows:
        for left, right in columns:
            inside = bottom > top and right > left
            found.append(x[:, top:bottom, left:right].reshape(channels, -1).max(1).values if inside else empty)
    return torch.stack(found, 1).reshape(channels, len(rows), len(columns))
