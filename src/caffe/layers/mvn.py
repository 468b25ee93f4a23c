"""MVN: mean-variance normalization of each picture or channel by itself."""

import math

import numpy as np

from caffe.core.lazy_torch import Function
from caffe.layers.base import Example, Layer, register


@register
class MVN(Layer):
    """y = (x - mean) / (standard deviation + eps) over each channel's plane, or over the picture with
    across_channels.

    (mvn_layer.cpp) normalize_variance: false subtracts the mean only. The derivative takes eps as nothing
    in the standard deviation's own derivative, as Caffe does.
    """

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("mvn_param { across_channels: true eps: 0.01 }", [(2, 3, 4, 5)]),
        Example("mvn_param { normalize_variance: false }", [(2, 3, 4, 5)]),
    )

    def top_shapes(self, bottom):
        self.need(len(bottom) <= 4, "the bottom must have at most 4 axes, received %s", bottom)
        return [(*bottom, 1, 1, 1, 1)[:4]]  # Caffe's top always has 4 axes

    def _rows(self, shape):
        kept = 1 if self.param.mvn_param.across_channels else 2
        return (math.prod(shape[:kept]), math.prod(shape[kept:]))

    def forward(self, x):
        p = self.param.mvn_param
        rows = x.reshape(self._rows(x.shape))
        centred = rows - rows.mean(1, keepdim=True)
        y = Normalize.apply(centred, p.eps) if p.normalize_variance else centred
        return y.view(self.top_shapes(tuple(x.shape))[0])

    def to_onnx(self, g, bottoms, tops):
        p, shape = self.param.mvn_param, g.shape(bottoms[0])
        rows, mean, centred, square, variance, deviation, safe, result = (
            g.temp(n) for n in ("rows", "mean", "centred", "square", "variance", "deviation", "safe", "result")
        )
        g.node("Reshape", [bottoms[0], g.constant(list(self._rows(shape)), "rows")], [rows])
        g.node("ReduceMean", [rows], [mean], axes=[1], keepdims=1)
        g.node("Sub", [rows, mean], [centred])
        if p.normalize_variance:
            g.node("Mul", [centred, centred], [square])
            g.node("ReduceMean", [square], [variance], axes=[1], keepdims=1)
            g.node("Sqrt", [variance], [deviation])
            g.node("Add", [deviation, g.constant(np.float32(p.eps), "eps")], [safe])
            g.node("Div", [centred, safe], [result])
        top = g.constant(list(self.top_shapes(shape)[0]), "shape")
        g.node("Reshape", [result if p.normalize_variance else centred, top], tops)


class Normalize(Function):
    """Centred rows divided by their standard deviation + eps, with Caffe's derivative."""

    @staticmethod
    def forward(ctx, centred, eps):
        deviation = centred.square().mean(1, keepdim=True).sqrt_().add_(eps)
        y = centred / deviation
        ctx.save_for_backward(y, deviation)
        return y

    @staticmethod
    def backward(ctx, dy):
        y, deviation = ctx.saved_tensors
        return (dy - y * (dy * y).mean(1, keepdim=True)) / deviation, None
