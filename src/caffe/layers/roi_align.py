"""ROIAlign: values of regions by bilinear interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers._emit import one
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.layers.roi_pooling import check_rois


@register
class ROIAlign(Layer):
    """Interpolated values of regions (item, x1, y1, x2, y2 in pixels of the image).

    With roi_pooling_param (Cascade R-CNN, MS-CNN): the values at the corners of pooled_h x pooled_w bins, that is,
    (pooled_h + 1) x (pooled_w + 1) values; 0 outside the map. A region is enlarged by pad_ratio of its sides, and the
    centers of pixels are at half pixels.

    With roi_align_param and a sampling_ratio (He et al. 2017): the mean of sampling_ratio x sampling_ratio values in
    each of pooled_h x pooled_w bins, as ONNX' RoiAlign with output_half_pixel. Without sampling_ratio (Synopsys) it is
    not implemented.
    """

    num_bottom = 2
    no_gradient = (1,)
    examples = (
        Example(
            "roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 pad_ratio: 0.1 }",
            [(1, 3, 5, 6), (4, 5)],
            ("normal", 1),
        ),
        Example(
            "roi_align_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 sampling_ratio: 2 }",
            [(2, 3, 5, 6), (4, 5)],
            ("normal", 2),
        ),
    )

    def setup(self, bottom: Shape, rois: Shape) -> None:
        self.grid = self.param.HasField("roi_pooling_param")
        self.p = self.param.roi_pooling_param if self.grid else self.param.roi_align_param
        self.need(
            self.grid or self.p.sampling_ratio > 0,
            "roi_align_param without a sampling_ratio (Synopsys) is not implemented",
        )
        self.bins = (self.p.pooled_h, self.p.pooled_w)
        self.need(min(self.bins) > 0, "pooled_h and pooled_w must be positive, received %s", self.bins)
        self.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)

    def top_shapes(self, bottom: Shape, rois: Shape) -> list[Shape]:
        check_rois(self, rois)
        return [(rois[0], bottom[1], *(count + self.grid for count in self.bins))]

    def forward(self, x: Tensor, rois: Tensor) -> Tensor:
        regions = rois.detach().reshape(-1, 5)
        items = regions[:, 0].long()
        weights = [self._weights(regions[:, 1:], axis, x.shape[2 + axis]).to(x.dtype) for axis in (0, 1)]
        out = x.new_zeros(self.top_shapes(tuple(x.shape), tuple(rois.shape))[0])
        for item in torch.unique(items):
            own = items == item
            columns = torch.einsum("rjw,chw->rjch", weights[1][own], x[item])
            out[own] = torch.einsum("rih,rjch->rcij", weights[0][own], columns)
        return out

    def _weights(self, corners, axis, size):
        """Return the weights (region, bin, pixel) of the pixels along an axis."""
        first, last = corners[:, 1 - axis], corners[:, 3 - axis]
        pixels = torch.arange(size, dtype=corners.dtype, device=corners.device)
        if self.grid:
            pad = (last - first + 1) * self.p.pad_ratio
            start, end = (first - pad) * self.p.spatial_scale - 0.5, (last + pad) * self.p.spatial_scale - 0.5
            steps = torch.arange(self.bins[axis] + 1, dtype=corners.dtype, device=corners.device)
            places = start[:, None] + steps * ((end - start) / self.bins[axis])[:, None]
            inside = (places >= -0.5) & (places <= size - 0.5) & (end > start)[:, None]
            return _hat(places, pixels, size) * inside[..., None]
        count = self.p.sampling_ratio
        start, length = first * self.p.spatial_scale, ((last - first) * self.p.spatial_scale).clamp(min=1)
        steps = (torch.arange(self.bins[axis] * count, dtype=corners.dtype, device=corners.device) + 0.5) / count
        places = start[:, None] + steps * (length / self.bins[axis])[:, None]
        weights = _hat(places, pixels, size) * ((places >= -1) & (places <= size))[..., None]
        return weights.reshape(len(corners), self.bins[axis], count, size).mean(2)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rois = one(g, "Reshape", [bottoms[1], g.constant([-1, 5], "rows")], "rois")
        corners = one(g, "Slice", [rois, *(g.constant([n], f"n{i}") for i, n in enumerate((1, 5, 1)))], "corners")
        if self.grid:
            self._grid_to_onnx(g, bottoms[0], corners, tops)
            return
        first = one(g, "Gather", [rois, g.constant(np.int64(0), "first")], "first", axis=1)
        items = one(g, "Cast", [first], "items", to=7)
        g.node(
            "RoiAlign",
            [bottoms[0], corners, items],
            tops,
            mode="avg",
            output_height=self.bins[0],
            output_width=self.bins[1],
            sampling_ratio=self.p.sampling_ratio,
            spatial_scale=self.p.spatial_scale,
        )

    def _grid_to_onnx(self, g, bottom, corners, tops):
        count, _, height, width = g.shape(bottom)
        self.need(count == 1, "the batch size must be 1 for export to ONNX, received %d", count)
        rows = self._weights_to_onnx(g, corners, 0, height)
        columns = one(g, "Transpose", [self._weights_to_onnx(g, corners, 1, width)], "columns", perm=[0, 2, 1])
        across = one(g, "MatMul", [bottom, one(g, "Unsqueeze", [columns], "apart", axes=[1])], "across")
        g.node("MatMul", [one(g, "Unsqueeze", [rows], "apart", axes=[1]), across], tops)

    def _weights_to_onnx(self, g, corners, axis, size):
        """Emit `_weights` of the grid and return the name."""
        ends = [one(g, "Gather", [corners, g.constant([n], "n")], "end", axis=1) for n in (1 - axis, 3 - axis)]
        number = iter(range(99))

        def linear(name, factor, shift):
            scaled = one(g, "Mul", [name, g.constant(np.float32(factor), f"factor{next(number)}")], "scaled")
            return one(g, "Add", [scaled, g.constant(np.float32(shift), f"shift{next(number)}")], "moved")

        pad = linear(one(g, "Sub", ends[::-1], "side"), self.p.pad_ratio, self.p.pad_ratio)
        padded = [one(g, op, [end, pad], "padded") for op, end in zip(("Sub", "Add"), ends)]
        start, end = (linear(name, self.p.spatial_scale, -0.5) for name in padded)
        length = one(g, "Sub", [end, start], "length")
        steps = np.arange(self.bins[axis] + 1, dtype=np.float32)[None] / np.float32(self.bins[axis])
        places = one(g, "Add", [one(g, "Mul", [length, g.constant(steps, "steps")], "offsets"), start], "places")
        limits = [g.constant(np.float32(n), f"limit{i}") for i, n in enumerate((-0.5, size - 0.5, 0))]
        inside = [
            one(g, "Not", [one(g, "Less", [places, limits[0]], "before")], "after"),
            one(g, "Not", [one(g, "Less", [limits[1], places], "beyond")], "within"),
            one(g, "Less", [limits[2], length], "positive"),
        ]
        both = one(g, "And", [one(g, "And", inside[:2], "both"), inside[2]], "inside")
        mask = one(g, "Unsqueeze", [one(g, "Cast", [both], "mask", to=1)], "mask", axes=[2])
        low = one(g, "Max", [places, g.constant(np.float32(0), "low")], "low")
        clamped = one(g, "Min", [low, g.constant(np.float32(size - 1), "high")], "clamped")
        apart = one(g, "Unsqueeze", [clamped], "apart", axes=[2])
        pixels = g.constant(np.arange(size, dtype=np.float32)[None, None], "pixels")
        far = one(g, "Abs", [one(g, "Sub", [apart, pixels], "distance")], "far")
        near = one(g, "Max", [linear(far, -1, 1), g.constant(np.float32(0), "zero")], "near")
        return one(g, "Mul", [near, mask], "weights")


def _hat(places, pixels, size):
    """Return the bilinear weights (…, pixel) of the pixels at `places`, which are clamped to the map."""
    return (1 - (places.clamp(0, size - 1)[..., None] - pixels).abs()).clamp(min=0)
