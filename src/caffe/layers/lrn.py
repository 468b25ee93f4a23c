"""LRN: local response normalization."""

import functools

import numpy as np

from caffe.late import F, Function, torch
from caffe.layers.base import Example, Layer, register
from caffe.proto import caffe_pb2

WITHIN_CHANNEL = caffe_pb2.LRNParameter.WITHIN_CHANNEL
WIDEST_BAND = 192  # channels up to which the band matrix is faster than shifted sums


@register
class LRN(Layer):
    """y = x (k + alpha / n * sum of x^2 over n = local_size neighbours)^-beta (Krizhevsky et al. 2012;
    lrn_layer.cpp).

    The neighbours are channels (ACROSS_CHANNELS), or the n x n window of the plane (WITHIN_CHANNEL, where
    the divisor is n^2 and k is 1 always, as Caffe has it).
    """

    examples = (
        Example("lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }", [(2, 7, 4, 5)]),
        Example("lrn_param { local_size: 3 alpha: 2 beta: 0.6 k: 1.5 }", [(2, 4, 3, 5)]),
        Example("lrn_param { local_size: 3 alpha: 2 beta: 1 k: 0 }", [(2, 4, 3, 5)]),
        Example(
            "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL }", [(2, 3, 6, 5)]
        ),
    )

    def setup(self, bottom):
        p = self.param.lrn_param
        self.need(p.local_size % 2 == 1, "local_size must be odd, received %d", p.local_size)
        self.within = p.norm_region == WITHIN_CHANNEL

    def top_shapes(self, bottom):
        self.need(
            len(bottom) == 4,
            "the bottom must have 4 axes (num, channels, height, width), received %s",
            bottom,
        )
        return [bottom]

    def forward(self, x):
        p = self.param.lrn_param
        if self.within:
            mean = F.avg_pool2d(x * x, p.local_size, 1, p.local_size // 2)
            return x * (1 + p.alpha * mean).pow(-p.beta)
        return AcrossChannels.apply(x, p.local_size, p.alpha, p.beta, p.k)

    def to_onnx(self, g, bottoms, tops):
        p = self.param.lrn_param
        if not self.within:
            _across_to_onnx(g, bottoms, tops, p)
            return
        square, mean, scaled, scale, power = (
            g.temp(n) for n in ("square", "mean", "scaled", "scale", "power")
        )
        n = p.local_size
        g.node("Mul", [bottoms[0], bottoms[0]], [square])
        g.node(
            "AveragePool",
            [square],
            [mean],
            kernel_shape=[n, n],
            pads=[n // 2] * 4,
            strides=[1, 1],
            count_include_pad=1,
        )
        g.node("Mul", [mean, g.constant(p.alpha, "alpha")], [scaled])
        g.node("Add", [scaled, g.constant(1.0, "one")], [scale])
        g.node("Pow", [scale, g.constant(-p.beta, "power")], [power])
        g.node("Mul", [bottoms[0], power], tops)


def _across_to_onnx(g, bottoms, tops, p):
    if p.k == 1:
        g.node("LRN", bottoms, tops, size=p.local_size, alpha=p.alpha, beta=p.beta, bias=1.0)
    elif p.k > 0:  # OpenVINO rounds the bias to an integer, so k is drawn out of the sum
        unscaled = g.temp("unscaled")
        g.node("LRN", bottoms, [unscaled], size=p.local_size, alpha=p.alpha / p.k, beta=p.beta, bias=1.0)
        g.node("Mul", [unscaled, g.constant(np.float32(p.k**-p.beta), "k")], tops)
    else:
        channels = g.shape(bottoms[0])[1]
        square, scale, power = (g.temp(n) for n in ("square", "scale", "power"))
        place = np.arange(channels)
        near = np.abs(place[:, None] - place[None, :]) <= p.local_size // 2
        band = near[:, :, None, None] * np.float32(p.alpha / p.local_size)
        g.node("Mul", [bottoms[0], bottoms[0]], [square])
        constants = g.constant(band, "band"), g.constant(np.full(channels, p.k, np.float32), "k")
        g.node("Conv", [square, *constants], [scale], kernel_shape=[1, 1])
        g.node("Pow", [scale, g.constant(np.float32(-p.beta), "power")], [power])
        g.node("Mul", [bottoms[0], power], tops)


class AcrossChannels(Function):
    """The normalization across channels with its derivative written out, several times faster than by
    autograd.

    With s = k + alpha / n * sum x^2: y = x s^-beta, and dx = dy s^-beta - 2 alpha beta / n * x * sum(dy x
    s^-beta / s).
    """

    @staticmethod
    def forward(ctx, x, size, alpha, beta, k):
        scale = neighbours(x * x, size, alpha / size, k)
        power = _power(scale, beta)
        ctx.save_for_backward(x, scale, power)
        ctx.size, ctx.factor = size, 2 * alpha * beta / size
        return x * power

    @staticmethod
    def backward(ctx, dy):
        x, scale, power = ctx.saved_tensors
        direct = dy * power
        around = neighbours((direct * x).div_(scale), ctx.size, ctx.factor, 0.0)
        return direct.sub_(around.mul_(x)), None, None, None, None


def _power(scale, beta):
    """scale ^ -beta; the powers in use by square roots, which cost a tenth of pow."""
    if beta == 0.75:
        root = scale.rsqrt()
        return root.sqrt().mul_(root)
    if beta == 0.5:
        return scale.rsqrt()
    return scale.pow(-beta)


def neighbours(x, size, factor, constant):
    """constant + factor * (sum of x over `size` channels around each): a 1x1 convolution with a band matrix.

    oneDNN runs it at the speed of a matrix product in either memory layout; wide blobs take shifted sums.
    """
    channels = x.shape[1]
    if channels <= WIDEST_BAND:
        weight = _band(channels, size, factor, x.dtype, x.device)
        return F.conv2d(x, weight, _constant(channels, constant, x.dtype, x.device))
    total, reach = x.clone(), min(size // 2, channels - 1)
    for shift in range(1, reach + 1):
        total[:, shift:] += x[:, :-shift]
        total[:, :-shift] += x[:, shift:]
    return total.mul_(factor).add_(constant)


@functools.lru_cache(maxsize=64)
def _band(channels, size, factor, dtype, device):
    place = torch.arange(channels, device=device)
    near = (place[:, None] - place[None, :]).abs() <= size // 2
    return (near * factor).to(dtype).view(channels, channels, 1, 1)


@functools.lru_cache(maxsize=64)
def _constant(channels, value, dtype, device):
    return torch.full((channels,), value, dtype=dtype, device=device) if value else None
