"""Eltwise: product, weighted sum or maximum of blobs, element by element."""

import functools
import operator

import numpy as np

from caffe.core.lazy_torch import Function, torch
from caffe.layers.base import Example, Layer, register
from caffe.proto import caffe_pb2

PROD, SUM, MAX, DIV, MIN = (caffe_pb2.EltwiseParameter.EltwiseOp.Value(n) for n in ("PROD", "SUM", "MAX", "DIV", "MIN"))


@register
class Eltwise(Layer):
    """PROD, SUM (each bottom times its `coeff`) or MAX of bottoms of one shape (eltwise_layer.cpp).

    Where the maximum is shared, its derivative goes to one bottom: of the first two to the second, of later
    ones to the earlier. stable_prod_grad: false takes the product's derivative as top / bottom, as Caffe
    does: not a number at 0. Synopsys' Caffe has DIV, the first bottom by the others, and MIN as well.
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

    def setup(self, *bottoms):
        p = self.param.eltwise_param
        given = len(p.coeff)
        self.need(
            given in (0, len(bottoms)),
            "coeff must be given once a bottom (%d) or not at all, received %d",
            len(bottoms),
            given,
        )
        self.need(not given or p.operation != PROD, "coeff is for SUM, received %d of them for PROD", given)

    def top_shapes(self, first, *others):
        for i, other in enumerate(others, 1):
            self.need(
                other == first,
                "bottoms must have one shape: bottom 0 is %s, bottom %d is %s",
                first,
                i,
                other,
            )
        return [first]

    def forward(self, *bottoms):
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

    def to_onnx(self, g, bottoms, tops):
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
    """The product, with the derivative top / bottom * dtop."""

    @staticmethod
    def forward(ctx, *bottoms):
        top = functools.reduce(operator.mul, bottoms)
        ctx.save_for_backward(top, *bottoms)
        return top

    @staticmethod
    def backward(ctx, dtop):
        top, *bottoms = ctx.saved_tensors
        return tuple(top / bottom * dtop for bottom in bottoms)
