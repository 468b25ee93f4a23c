"""MVN: mean-variance normalization of each image or channel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import Function
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class MVN(Layer):
    """y = (x - mean) / (std + eps) per channel, or per image with across_channels (mvn_layer.cpp).

    normalize_variance: false subtracts the mean only. As in Caffe, the gradient of the standard deviation neglects eps.
    """

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("mvn_param { across_channels: true eps: 0.01 }", [(2, 3, 4, 5)]),
        Example("mvn_param { normalize_variance: false }", [(2, 3, 4, 5)]),
    )

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.need(len(bottom) <= 4, "the bottom must have at most 4 axes, received %s", bottom)
        return [(*bottom, 1, 1, 1, 1)[:4]]  # Caffe's top always has 4 axes

    def _rows(self, shape):
        outer = 1 if self.param.mvn_param.across_channels else 2
        return (math.prod(shape[:outer]), math.prod(shape[outer:]))

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.mvn_param
        rows = x.reshape(self._rows(x.shape))
        centered = rows - rows.mean(1, keepdim=True)
        y = Normalize.apply(centered, p.eps) if p.normalize_variance else centered
        return y.view(self.top_shapes(tuple(x.shape))[0])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p, shape = self.param.mvn_param, g.shape(bottoms[0])
        rows, mean, centered, square, variance, std, safe, result = (
            g.temp(n) for n in ("rows", "mean", "centered", "square", "variance", "std", "safe", "result")
        )
        g.node("Reshape", [bottoms[0], g.constant(list(self._rows(shape)), "rows")], [rows])
        g.node("ReduceMean", [rows], [mean], axes=[1], keepdims=1)
        g.node("Sub", [rows, mean], [centered])
        if p.normalize_variance:
            g.node("Mul", [centered, centered], [square])
            g.node("ReduceMean", [square], [variance], axes=[1], keepdims=1)
            g.node("Sqrt", [variance], [std])
            g.node("Add", [std, g.constant(np.float32(p.eps), "eps")], [safe])
            g.node("Div", [centered, safe], [result])
        top = g.constant(list(self.top_shapes(shape)[0]), "shape")
        g.node("Reshape", [result if p.normalize_variance else centered, top], tops)


class Normalize(Function):
    """Centered rows divided by their standard deviation + eps, with Caffe's gradient."""

    @staticmethod
    def forward(ctx, centered, eps):
        std = centered.square().mean(1, keepdim=True).sqrt_().add_(eps)
        y = centered / std
        ctx.save_for_backward(y, std)
        return y

    @staticmethod
    def backward(ctx, dy):
        y, std = ctx.saved_tensors
        return (dy - y * (dy * y).mean(1, keepdim=True)) / std, None
