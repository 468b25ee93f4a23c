"""PSROIPooling: position-sensitive average pooling of regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.layers.roi_pooling import check_rois


@register
class PSROIPooling(Layer):
    """Position-sensitive average pooling of regions (item, x1, y1, x2, y2) (R-FCN).

    Each region is divided into group_size x group_size bins. Bin (i, j) of output c is the mean of channel (c *
    group_size + i) * group_size + j over the bin, or 0 for an empty bin (Dai et al. 2016). Corners are rounded half up,
    1 is added to the second, and both are multiplied by spatial_scale; a region is at least 0.1 wide. Bins start at the
    floor and end at the ceiling of their borders.
    """

    num_bottom = 2
    no_gradient = (1,)
    examples = (
        Example(
            "psroi_pooling_param { spatial_scale: 0.5 output_dim: 2 group_size: 3 }",
            [(1, 18, 5, 6), (4, 5)],
            ("normal", 1),
        ),
    )

    def setup(self, bottom: Shape, rois: Shape) -> None:
        p = self.param.psroi_pooling_param
        self.need(p.output_dim > 0 and p.group_size > 0, "output_dim and group_size must be positive")
        expected = p.output_dim * p.group_size**2
        self.need(
            len(bottom) == 4 and bottom[1] == expected,
            "the bottom must have %d channels, received %s",
            expected,
            bottom,
        )

    def top_shapes(self, bottom: Shape, rois: Shape) -> list[Shape]:
        check_rois(self, rois)
        p = self.param.psroi_pooling_param
        return [(rois[0], p.output_dim, p.group_size, p.group_size)]

    def forward(self, x: Tensor, rois: Tensor) -> Tensor:
        p = self.param.psroi_pooling_param
        regions = rois.detach().cpu().reshape(-1, 5)
        top = x.new_zeros((len(regions), p.output_dim, p.group_size, p.group_size))
        for item in regions[:, 0].long().unique().tolist():
            chosen = (regions[:, 0].long() == item).nonzero().flatten()
            rows, columns = (mask.to(x.device) for mask in self._masks(regions[chosen], x.shape[2:]))
            planes = x[item].reshape(p.output_dim, p.group_size, p.group_size, *x.shape[2:])
            sums = torch.einsum("cpqhw,rph,rqw->rcpq", planes, rows, columns)
            counts = torch.einsum("rp,rq->rpq", rows.sum(2), columns.sum(2))[:, None]
            top = top.index_copy(0, chosen.to(x.device), sums / counts.clamp(min=1))
        return top

    def _masks(self, regions, sizes):
        """Return masks of the rows and columns inside each bin, region x bin x pixel."""
        p = self.param.psroi_pooling_param
        corners = torch.floor(regions[:, 1:] + 0.5)
        corners = (corners + corners.new_tensor([0.0, 0.0, 1.0, 1.0])) * p.spatial_scale
        return [
            _mask(corners[:, first], corners[:, first + 2], p.group_size, size) for first, size in zip((1, 0), sizes)
        ]

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.psroi_pooling_param
        count, _, height, width = g.shape(bottoms[0])
        self.need(count == 1, "the batch size must be 1 for export to ONNX, received %d", count)
        rois, rounded, corners = g.temp("rois"), g.temp("rounded"), g.temp("corners")
        g.node("Reshape", [bottoms[1], g.constant([-1, 5], "rows")], [rois])
        half = g.constant(np.array([0, 0.5, 0.5, 1.5, 1.5], np.float32), "half")
        shifted = g.temp("shifted")
        g.node("Add", [rois, half], [shifted])
        g.node("Floor", [shifted], [rounded])
        g.node("Mul", [rounded, g.constant(np.float32(p.spatial_scale), "scale")], [corners])
        rows = self._mask_to_onnx(g, corners, 2, height)
        columns = self._mask_to_onnx(g, corners, 1, width)
        self._mean_to_onnx(g, bottoms[0], rows, columns, tops[0])

    def _mask_to_onnx(self, g, corners, first, size):
        """Emit a mask, region x bin x pixel, and return its name."""
        group = self.param.psroi_pooling_param.group_size
        start, end, length, least, step = (g.temp(n) for n in ("start", "end", "length", "least", "step"))
        for column, name in ((first, start), (first + 2, end)):
            g.node("Gather", [corners, g.constant([column], "column")], [name], axis=1)
        g.node("Sub", [end, start], [length])
        g.node("Max", [length, g.constant(np.float32(0.1), "least")], [least])
        g.node("Div", [least, g.constant(np.float32(group), "bins")], [step])
        borders = []
        for shift, rounding in ((0, "Floor"), (1, "Ceil")):
            steps, border, whole, column = g.temp("steps"), g.temp("border"), g.temp("whole"), g.temp("border_column")
            numbers = (np.arange(group) + shift).astype(np.float32)[None]
            g.node("Mul", [step, g.constant(numbers, "numbers")], [steps])
            g.node("Add", [steps, start], [border])
            g.node(rounding, [border], [whole])
            g.node("Unsqueeze", [whole], [column], axes=[2])
            borders.append(column)
        pixels = g.constant(np.arange(size, dtype=np.float32)[None, None], "pixels")
        above, before, inside, mask = g.temp("outside"), g.temp("before"), g.temp("inside"), g.temp("mask")
        g.node("Less", [pixels, borders[0]], [above])
        g.node("Not", [above], [inside])
        g.node("Less", [pixels, borders[1]], [before])
        both = g.temp("both")
        g.node("And", [inside, before], [both])
        g.node("Cast", [both], [mask], to=1)
        return mask

    def _mean_to_onnx(self, g, bottom, rows, columns, top):
        p = self.param.psroi_pooling_param
        _, _, height, width = g.shape(bottom)
        planes, by_bin, across, weights = (g.temp(n) for n in ("planes", "by_bin", "across", "weights"))
        split = [p.output_dim, p.group_size, p.group_size, height, width]
        g.node("Reshape", [bottom, g.constant(split, "split")], [planes])
        g.node("Transpose", [planes], [by_bin], perm=[1, 2, 0, 3, 4])  # i j c h w
        transposed = g.temp("transposed")
        g.node("Transpose", [columns], [transposed], perm=[1, 2, 0])  # j w r
        g.node("Unsqueeze", [transposed], [weights], axes=[0, 2])  # 1 j 1 w r
        g.node("MatMul", [by_bin, weights], [across])  # i j c h r
        down, down_weights, product, sums = (g.temp(n) for n in ("down", "down_weights", "product", "sums"))
        g.node("Transpose", [rows], [down], perm=[1, 2, 0])  # i h r
        g.node("Unsqueeze", [down], [down_weights], axes=[1, 2])  # i 1 1 h r
        g.node("Mul", [across, down_weights], [product])
        g.node("ReduceSum", [product], [sums], axes=[3], keepdims=0)  # i j c r
        counts, safe, means = g.temp("counts"), g.temp("safe"), g.temp("means")
        sizes = []
        for mask, axes in ((rows, [0]), (columns, [1])):
            size, row, column = g.temp("size"), g.temp("row"), g.temp("column")
            g.node("ReduceSum", [mask], [size], axes=[2], keepdims=0)  # r bin
            g.node("Transpose", [size], [row], perm=[1, 0])
            g.node("Unsqueeze", [row], [column], axes=[1, 2] if axes == [0] else [0, 2])
            sizes.append(column)
        g.node("Mul", sizes, [counts])
        g.node("Max", [counts, g.constant(np.float32(1), "one")], [safe])
        g.node("Div", [sums, safe], [means])
        g.node("Transpose", [means], [top], perm=[3, 2, 0, 1])


def _mask(start, end, count, size):
    step = ((end - start).clamp(min=0.1) / count)[:, None]
    number = torch.arange(count, dtype=start.dtype, device=start.device)
    first = torch.floor(number * step + start[:, None])[..., None]
    last = torch.ceil((number + 1) * step + start[:, None])[..., None]
    pixels = torch.arange(size, dtype=start.dtype, device=start.device)
    return ((pixels >= first) & (pixels < last)).to(start.dtype)
