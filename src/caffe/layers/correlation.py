"""Correlation: products of patches of two images at all displacements."""

from __future__ import annotations

import math
from typing import Any

from caffe.core.lazy_torch import F, torch
from caffe.layers._emit import one
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2

_SUBTRACT = caffe_pb2.CorrelationParameter.SUBTRACT


@register
class Correlation(Layer):
    """One channel per displacement: the mean of the products of two patches (FlowNet).

    The bottoms are padded by `pad` on all sides. Positions are stride_1 apart, displacements stride_2 apart up to
    max_displacement in each direction; patches are kernel_size x kernel_size over all channels. correlation_type
    SUBTRACT takes |a - b| instead of a * b. ONNX has no such operator: the exported model has a product and a mean for
    each displacement (Dosovitskiy et al. 2015).
    """

    num_bottom = 2
    examples = (
        Example(
            "correlation_param { pad: 2 kernel_size: 1 max_displacement: 2 stride_1: 1 stride_2: 1 }",
            [(1, 3, 5, 6)] * 2,
        ),
    )

    def setup(self, first: Shape, second: Shape) -> None:
        p = self.param.correlation_param
        self.need(len(first) == 4, "the bottoms must have 4 axes, received %s", first)
        self.need(p.kernel_size % 2 == 1, "kernel_size must be odd, received %d", p.kernel_size)
        self.need(min(p.stride_1, p.stride_2) > 0, "stride_1 and stride_2 must be positive")
        self.need(p.single_direction in (-1, 0, 1), "single_direction must be -1, 0 or 1")
        self.need(not p.do_abs, "correlation_param.do_abs is not implemented")
        steps, side = p.max_displacement // p.stride_2, p.single_direction if self.one_dimension else 0
        start = {-1: -steps - 1, 0: -steps, 1: 0}[side]
        along = [step * p.stride_2 for step in range(start, start + steps + 1 + (0 if side else steps))]
        self.moves = [(dy, dx) for dy in ([0] if self.one_dimension else along) for dx in along]

    @property
    def one_dimension(self) -> bool:
        """Whether displacements are horizontal only."""
        return self.type == "Correlation1D"

    def top_shapes(self, first: Shape, second: Shape) -> list[Shape]:
        p = self.param.correlation_param
        self.need(second == first, "bottoms must have the same shape, received %s and %s", first, second)
        radius = (p.kernel_size - 1) // 2
        borders = (radius if self.one_dimension else p.max_displacement + radius, p.max_displacement + radius)
        pads = (0 if self.one_dimension else p.pad, p.pad)
        sizes = [math.ceil((n + 2 * pad - 2 * b) / p.stride_1) for n, pad, b in zip(first[2:], pads, borders)]
        self.need(min(sizes) > 0, "kernel_size and max_displacement do not fit into the padded bottom %s", first)
        return [(first[0], len(self.moves), *sizes)]

    def _geometry(self, shape):
        """Return the padding (y, left, right) and the place and size (top, left, rows, columns) of the own patches."""
        p = self.param.correlation_param
        _, _, height, width = self.top_shapes(shape, shape)[0]
        beyond = max(0, -min(dx for _, dx in self.moves) - p.max_displacement)  # zeros left of the padding
        pads = (0 if self.one_dimension else p.pad, p.pad + beyond, p.pad)
        rows, columns = (height - 1) * p.stride_1 + p.kernel_size, (width - 1) * p.stride_1 + p.kernel_size
        return pads, (0 if self.one_dimension else p.max_displacement, p.max_displacement + beyond, rows, columns)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        p = self.param.correlation_param
        (pad_y, before, after), (top, left, rows, columns) = self._geometry(tuple(a.shape))
        a, b = (F.pad(x, (before, after, pad_y, pad_y)) for x in (a, b))
        own = a[:, :, top : top + rows, left : left + columns]
        planes = []
        for dy, dx in self.moves:
            other = b[:, :, top + dy : top + dy + rows, left + dx : left + dx + columns]
            each = (own - other).abs() if p.correlation_type == _SUBTRACT else own * other
            planes.append(F.avg_pool2d(each.mean(1, keepdim=True), p.kernel_size, p.stride_1))
        return torch.cat(planes, dim=1)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.correlation_param
        (pad_y, before, after), (top, left, rows, columns) = self._geometry(g.shape(bottoms[0]))
        pads = g.constant([0, 0, pad_y, before, 0, 0, pad_y, after], "pads")
        a, b = (one(g, "Pad", [bottom, pads], "padded") for bottom in bottoms)
        own = self._patches_to_onnx(g, a, top, left, rows, columns)
        planes = []
        for dy, dx in self.moves:
            other = self._patches_to_onnx(g, b, top + dy, left + dx, rows, columns)
            if p.correlation_type == _SUBTRACT:
                each = one(g, "Abs", [one(g, "Sub", [own, other], "difference")], "size")
            else:
                each = one(g, "Mul", [own, other], "product")
            plane = one(g, "ReduceMean", [each], "mean", axes=[1], keepdims=1)
            if (p.kernel_size, p.stride_1) != (1, 1):
                sides = {"kernel_shape": [p.kernel_size] * 2, "strides": [p.stride_1] * 2}
                plane = one(g, "AveragePool", [plane], "plane", **sides)
            planes.append(plane)
        g.node("Concat", planes, tops, axis=1)

    @staticmethod
    def _patches_to_onnx(g, source, top, left, rows, columns):
        """Emit the rows and columns of a padded bottom from a place on, and return the name."""
        bounds = [top, left], [top + rows, left + columns], [2, 3]
        return one(g, "Slice", [source, *(g.constant(list(b), f"n{b[0]}_{b[1]}") for b in bounds)], "patches")
