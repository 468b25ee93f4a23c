"""ROIWarping: bilinear samples of regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers import _bilinear
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.layers.roi_pooling import check_rois


@register
class ROIWarping(Layer):
    """pooled_h x pooled_w bilinear samples of each region (item, x1, y1, x2, y2) (MNC).

    Corners are multiplied by spatial_scale and rounded half away from zero. Sample i of n is at start + i * (end -
    start) / n; samples outside the image are 0. The gradient of the regions is not implemented (Dai, He & Sun 2016).
    """

    num_bottom = 2
    no_gradient = (1,)
    examples = (
        Example(
            "roi_warping_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 }", [(1, 2, 5, 6), (4, 5)], ("normal", 1)
        ),
    )

    def setup(self, bottom: Shape, rois: Shape) -> None:
        p = self.param.roi_warping_param
        self.need(p.pooled_h > 0 and p.pooled_w > 0, "pooled_h and pooled_w must be positive")
        self.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)

    def top_shapes(self, bottom: Shape, rois: Shape) -> list[Shape]:
        check_rois(self, rois)
        p = self.param.roi_warping_param
        return [(rois[0], bottom[1], p.pooled_h, p.pooled_w)]

    def forward(self, x: Tensor, rois: Tensor) -> Tensor:
        p = self.param.roi_warping_param
        regions = rois.detach().reshape(-1, 5)
        scaled = regions[:, 1:] * p.spatial_scale
        corners = torch.sign(scaled) * torch.floor(scaled.abs() + 0.5)
        masks = []
        for first, count, size in ((1, p.pooled_h, x.shape[2]), (0, p.pooled_w, x.shape[3])):
            start, length = corners[:, first], (corners[:, first + 2] - corners[:, first]).clamp(min=0)
            steps = torch.arange(count, dtype=x.dtype, device=x.device)
            masks.append(_bilinear.line_weights(start[:, None] + steps * (length / count)[:, None], size))
        return torch.einsum("rchw,rih,rjw->rcij", x[regions[:, 0].long()], *masks)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.roi_warping_param
        _, channels, height, width = g.shape(bottoms[0])
        self.need(g.shape(bottoms[0])[0] == 1, "the batch size must be 1 for export to ONNX")
        rois, scaled, shifted, corners = g.temp("rois"), g.temp("scaled"), g.temp("shifted"), g.temp("corners")
        g.node("Reshape", [bottoms[1], g.constant([-1, 5], "rows")], [rois])
        g.node("Mul", [rois, g.constant(np.float32(p.spatial_scale), "scale")], [scaled])
        g.node("Add", [scaled, g.constant(np.float32(0.5), "half")], [shifted])
        g.node("Floor", [shifted], [corners])
        rows = self._weights_to_onnx(g, corners, 2, p.pooled_h, height)
        columns = self._weights_to_onnx(g, corners, 1, p.pooled_w, width)
        planes, across, wide, transposed = g.temp("planes"), g.temp("across"), g.temp("wide"), g.temp("transposed")
        g.node("Reshape", [bottoms[0], g.constant([1, channels, height, width], "planes")], [planes])
        g.node("Transpose", [columns], [transposed], perm=[0, 2, 1])  # region, width, column
        g.node("Unsqueeze", [transposed], [wide], axes=[1])
        g.node("MatMul", [planes, wide], [across])  # region, channel, height, column
        tall = g.temp("tall")
        g.node("Unsqueeze", [rows], [tall], axes=[1])
        g.node("MatMul", [tall, across], tops)

    def _weights_to_onnx(self, g, corners, first, count, size):
        """Emit the weights, region x sample x pixel, and return their name."""
        names = ("start", "end", "length", "least", "steps", "positions", "column")
        start, end, length, least, steps, positions, column = (g.temp(name) for name in names)
        for index, name in ((first, start), (first + 2, end)):
            g.node("Gather", [corners, g.constant([index], "index")], [name], axis=1)
        g.node("Sub", [end, start], [length])
        g.node("Max", [length, g.constant(np.float32(0), "zero")], [least])
        g.node("Mul", [least, g.constant((np.arange(count, dtype=np.float32) / count)[None], "fractions")], [steps])
        g.node("Add", [steps, start], [positions])
        g.node("Unsqueeze", [positions], [column], axes=[2])
        return _bilinear.line_weights_to_onnx(g, column, size)
