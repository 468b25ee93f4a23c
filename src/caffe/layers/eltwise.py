"""Eltwise: elementwise product, weighted sum or maximum of blobs."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from caffe.core.lazy_torch import Function, torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2

PROD, SUM, MAX, DIV, MIN = (caffe_pb2.EltwiseParameter.EltwiseOp.Value(n) for n in ("PROD", "SUM", "MAX", "DIV", "MIN"))


@register
class Eltwise(Layer):
    """Elementwise PROD, SUM (each bottom times its `coeff`) or MAX of bottoms of equal shape (eltwise_layer.cpp).

    If several bottoms have the maximum, one of them receives the gradient: the second of the first two, otherwise the
    earlier one. With stable_prod_grad: false, the gradient of PROD is computed as top / bottom as in Caffe, which is
    NaN at 0. Synopsys' Caffe adds MIN and DIV, which divides the first bottom by the others, and allows
    bottoms without axes after the first, one value for all elements.
    """

    num_bottom = (2, None)
    examples = (
        Example("", [(2, 3, 4, 5)] * 2),
        Example("eltwise_param { operation: SUM coeff: 1 coeff: -0.5 coeff: 2 }", [(2, 3)] * 3),
        Example("eltwise_param { operation: PROD }", [(2, 3, 4)] * 3),
        Example("eltwise_param { operation: PROD stable_prod_grad: false }", [(2, 3, 4)] * 2, ("positive",) * 2),
        Example("eltwise_param { operation: MAX }", [(2, 3, 4, 5)] * 3),
        Example("eltwise_param { operation: DIV }", [(2, 3, 4)] * 2, ("positive",) * 2),
        Example("eltwise_param { operation: MIN }", [(2, 3, 4)] * 2),
    )

    def setup(self, *bottoms: Shape) -> None:
        p = self.param.eltwise_param
        count = len(p.coeff)
        self.need(
            count in (0, len(bottoms)), "expected one coeff per bottom (%d) or none, received %d", len(bottoms), count
        )
        self.need(not count or p.operation != PROD, "coeff is for SUM, received %d for PROD", count)

    def top_shapes(self, first: Shape, *others: Shape) -> list[Shape]:
        for i, other in enumerate(others, 1):
            self.need(
                other == first or other == (),
                "bottoms must have the same shape: bottom 0 is %s, bottom %d is %s",
                first,
                i,
                other,
            )
        return [first]

    def forward(self, *bottoms: Tensor) -> Tensor:
        p = self.param.eltwise_param
        if p.operation == SUM:
            return _weighted_sum(bottoms, list(p.coeff))
        if p.operation == MAX:
            return functools.reduce(_later_if_larger, bottoms[2:], torch.where(bottoms[0] > bottoms[1], *bottoms[:2]))
        if p.operation == MIN:
            return functools.reduce(torch.minimum, bottoms)
        if p.operation == DIV:
            return functools.reduce(operator.truediv, bottoms)
        if p.stable_prod_grad:
            return functools.reduce(operator.mul, bottoms)
        return ProductByDivision.apply(*bottoms)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.eltwise_param
        if p.operation in (PROD, DIV):
            _product_to_onnx(g, bottoms, tops, "Mul" if p.operation == PROD else "Div")
            return
        if p.operation == SUM:
            bottoms = [b if c == 1 else _times(g, b, c) for b, c in zip(bottoms, list(p.coeff) or [1] * len(bottoms))]
        g.node({MAX: "Max", MIN: "Min"}.get(p.operation, "Sum"), bottoms, tops)


def _weighted_sum(bottoms, coeffs):
    if not coeffs:
        return functools.reduce(operator.add, bottoms)
    total = bottoms[0] * coeffs[0]
    for bottom, coeff in zip(bottoms[1:], coeffs[1:]):
        total = torch.add(total, bottom, alpha=coeff)
    return total


def _later_if_larger(largest, bottom):
    return torch.where(bottom > largest, bottom, largest)


def _times(g, bottom, coeff):
    scaled = g.temp("scaled")
    g.node("Mul", [bottom, g.constant(np.float32(coeff), "coeff")], [scaled])
    return scaled


def _product_to_onnx(g, bottoms, tops, op):
    product = bottoms[0]
    for i, bottom in enumerate(bottoms[1:], 2):
        factor, product = product, tops[0] if i == len(bottoms) else g.temp("product")
        g.node(op, [factor, bottom], [product])


class ProductByDivision(Function):
    """The product, with its gradient computed as top / bottom * dtop."""

    @staticmethod
    def forward(ctx, *bottoms):
        top = functools.reduce(operator.mul, bottoms)
        ctx.save_for_backward(top, *bottoms)
        return top

    @staticmethod
    def backward(ctx, dtop):
        top, *bottoms = ctx.saved_tensors
        return tuple(top / bottom * dtop for bottom in bottoms)
