"""ScaleRoute: the regions of a range of sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers._emit import one
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class ScaleRoute(Layer):
    """The rows of all bottoms whose region, the row of the first bottom, has a size in a range (Cascade R-CNN).

    The size of a region (item, x1, y1, x2, y2; inclusive) is the square root of its area; it must be at least low_scale
    and less than high_scale. If no region is in the range, the one that is nearest to its middle (the geometric mean of
    the limits) is taken.
    """

    num_bottom = (1, None)
    num_top = (1, None)
    same_count = True
    rows_vary = True
    no_gradient = tuple(range(20))
    differentiable = False
    examples = (
        Example("scale_route_param { low_scale: 2 high_scale: 40 }", [(4, 5), (4, 3, 1, 1)], (9, "normal"), tops=2),
    )

    def setup(self, regions: Shape, *others: Shape) -> None:
        p = self.param.scale_route_param
        self.low, self.high = p.low_scale, p.high_scale if p.HasField("high_scale") else np.inf
        limits = [limit for limit in (self.low, self.high) if 0 < limit < np.inf]
        self.middle = float(np.prod(limits) ** (1 / len(limits))) if limits else 256.0
        self.need(self.high >= self.low, "high_scale must not be below low_scale")

    def top_shapes(self, regions: Shape, *others: Shape) -> list[Shape]:
        self.need(regions[1] == 5, "the first bottom must have rows of 5 numbers, received %s", regions)
        for other in others:
            self.need(other[0] == regions[0], "all bottoms must have %d rows, received %s", regions[0], other)
        return [regions, *others]

    def forward(self, regions: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        rows = regions.detach().reshape(-1, 5)
        sides = rows[:, 3:] - rows[:, 1:3]
        size = torch.where((sides < 0).any(1), sides.new_zeros(()), (sides + 1).prod(1)).sqrt()
        chosen = ((size >= self.low) & (size < self.high)).nonzero()[:, 0]
        if not len(chosen):
            chosen = torch.log2(size / self.middle).abs().argmin()[None]
        return tuple(bottom[chosen] for bottom in (regions, *others))

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.dynamic = True
        rows = one(g, "Reshape", [bottoms[0], g.constant([-1, 5], "rows")], "rows")
        low, high = (
            one(g, "Gather", [rows, g.constant(columns, "columns")], "corner", axis=1) for columns in ([1, 2], [3, 4])
        )
        length = one(g, "Sub", [high, low], "length")
        zero = g.constant(np.float32(0), "zero")
        empty = one(g, "Less", [one(g, "ReduceMin", [length], "shortest", axes=[1], keepdims=0), zero], "empty")
        sides = one(g, "Add", [length, g.constant(np.float32(1), "one")], "sides")
        area = one(g, "ReduceProd", [sides], "area", axes=[1], keepdims=0)
        size = one(g, "Sqrt", [one(g, "Where", [empty, zero, area], "safe_area")], "size")
        small = one(g, "Less", [size, g.constant(np.float32(self.low), "low_scale")], "small")
        most = np.float32(min(self.high, np.finfo(np.float32).max))
        below = one(g, "Less", [size, g.constant(most, "high_scale")], "below")
        inside = one(g, "And", [one(g, "Not", [small], "enough"), below], "inside")
        ratio = one(g, "Div", [size, g.constant(np.float32(self.middle), "middle")], "ratio")
        far = one(g, "Abs", [one(g, "Log", [ratio], "log")], "far")
        nearest = one(g, "ArgMin", [far], "nearest", axis=0, keepdims=1)
        found = one(g, "Reshape", [one(g, "NonZero", [inside], "found"), g.constant([-1], "flat")], "chosen")
        both = one(g, "Concat", [found, nearest], "both", axis=0)
        number = one(g, "Cast", [one(g, "Shape", [found], "count")], "number", to=1)
        length = one(g, "Max", [number, g.constant(np.array([1], np.float32), "least")], "length")
        end = one(g, "Cast", [length], "end", to=7)
        chosen = one(g, "Slice", [both, g.constant([0], "start"), end, g.constant([0], "axis")], "rows")
        for bottom, name in zip(bottoms, tops):
            g.node("Gather", [bottom, chosen], [name], axis=0)
