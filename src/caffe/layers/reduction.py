"""Reduction."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2

Op = caffe_pb2.ReductionParameter


@register
class Reduction(Layer):
    """SUM, ASUM (absolute values), SUMSQ (squares) or MEAN over the axes from `axis` on (reduction_layer.cpp).

    The result is multiplied by `coeff`. The top keeps the axes before `axis`; with axis 0, the default, it is a scalar.
    """

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("reduction_param { operation: MEAN axis: 1 coeff: 3 }", [(2, 3, 4, 5)]),
        Example("reduction_param { operation: ASUM axis: -1 }", [(2, 3, 4, 5)]),
        Example("reduction_param { operation: SUMSQ axis: 2 coeff: 0.5 }", [(2, 3, 4, 5)]),
    )

    def setup(self, bottom: Shape) -> None:
        self.first = self.axis(self.param.reduction_param.axis, bottom)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.setup(bottom)
        return [bottom[: self.first]]

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.reduction_param
        self.setup(x.shape)
        rows = x.reshape(*x.shape[: self.first], math.prod(x.shape[self.first :]))
        if p.operation == Op.ASUM:
            rows = rows.abs()
        elif p.operation == Op.SUMSQ:
            rows = rows * rows
        return rows.sum(-1) * self._factor(x.shape)

    def _factor(self, bottom):
        p = self.param.reduction_param
        return p.coeff / max(1, math.prod(bottom[self.first :])) if p.operation == Op.MEAN else p.coeff

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.reduction_param
        op = {Op.SUM: "ReduceSum", Op.ASUM: "ReduceL1", Op.SUMSQ: "ReduceSumSquare", Op.MEAN: "ReduceMean"}[p.operation]
        axes = list(range(self.first, len(g.shape(bottoms[0]))))
        if p.coeff == 1:
            g.node(op, bottoms, tops, axes=axes, keepdims=0)
            return
        plain = g.temp("plain")
        g.node(op, bottoms, [plain], axes=axes, keepdims=0)
        g.node("Mul", [plain, g.constant(np.array(p.coeff, np.float32), "coeff")], tops)
