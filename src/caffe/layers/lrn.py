"""LRN: local response normalization."""

import numpy as np

from caffe.core.lazy_torch import F, Function, torch
from caffe.layers.base import Example, Layer, register
from caffe.proto import caffe_pb2

WITHIN_CHANNEL = caffe_pb2.LRNParameter.WITHIN_CHANNEL
CHUNK_ELEMENTS = 1 << 19  # values a thread


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
        Example("lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL }", [(2, 3, 6, 5)]),
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
        if not x.numel():
            return x.clone()
        if self.within:
            mean = F.avg_pool2d(x * x, p.local_size, 1, p.local_size // 2)
            return x * (1 + p.alpha * mean).pow(-p.beta)
        return AcrossChannels.apply(x, p.local_size, p.alpha, p.beta, p.k)

    def to_onnx(self, g, bottoms, tops):
        p = self.param.lrn_param
        if not self.within:
            _across_to_onnx(g, bottoms, tops, p)
            return
        square, mean, scaled, scale, power = (g.temp(n) for n in ("square", "mean", "scaled", "scale", "power"))
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
        near = np.abs(place[:, None] - place) <= p.local_size // 2
        band = (near * np.float32(p.alpha / p.local_size)).astype(np.float32)[..., None, None]
        g.node("Mul", [bottoms[0], bottoms[0]], [square])
        constants = g.constant(band, "band"), g.constant(np.full(channels, p.k, np.float32), "k")
        g.node("Conv", [square, *constants], [scale], kernel_shape=[1, 1])
        g.node("Pow", [scale, g.constant(np.float32(-p.beta), "power")], [power])
        g.node("Mul", [bottoms[0], power], tops)


class AcrossChannels(Function):
    """The normalization across channels with its derivative written out, several times faster than by
    autograd.

    With s = k + alpha / n * sum x^2: y = x s^-beta, and dx = dy s^-beta - 2 alpha beta / n * x * sum(dy x
    s^-beta / s). All steps are done for one slab of pixels after the other, whose values stay in the cache.
    """

    @staticmethod
    def forward(ctx, x, size, alpha, beta, k):
        x = x if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()
        y, scale = torch.empty_like(x), torch.empty_like(x, dtype=torch.float32)
        for xs, ys, scales in _chunks(x, y, scale):
            xs = xs.float()
            _add_neighbours(xs.square(), size, scales).mul_(alpha / size).add_(k)
            ys.copy_(_power(scales, beta).mul_(xs))
        ctx.save_for_backward(x, scale)
        ctx.size, ctx.beta, ctx.factor = size, beta, 2 * alpha * beta / size
        return y

    @staticmethod
    def backward(ctx, dy):
        x, scale = ctx.saved_tensors
        dx, same = torch.empty_like(x), x.is_contiguous(memory_format=torch.channels_last)
        dy = dy.contiguous(memory_format=torch.channels_last if same else torch.contiguous_format)
        for xs, scales, dys, dxs in _chunks(x, scale, dy, dx):
            xs, direct = xs.float(), _power(scales, ctx.beta).mul_(dys.float())
            around = _add_neighbours((direct * xs).div_(scales), ctx.size, torch.empty_like(direct))
            dxs.copy_(direct.sub_(around.mul_(ctx.factor).mul_(xs)))
        return dx, None, None, None, None


def _chunks(*tensors):
    """Pieces of `tensors` (all laid out as the first): pixels x C of channels last, else N x C x pixels."""
    if tensors[0].is_contiguous(memory_format=torch.channels_last):
        tensors = [t.permute(0, 2, 3, 1).view(-1, t.shape[1]) for t in tensors]
    else:
        tensors = [t.view(*t.shape[:2], -1) for t in tensors]
    at_once = CHUNK_ELEMENTS * torch.get_num_threads() // max(1, tensors[0][:1].numel())
    if tensors[0].device.type != "cpu":
        at_once = len(tensors[0])
    return zip(*(t.split(max(1, at_once)) for t in tensors))


def _power(scale, beta):
    """scale ^ -beta; the powers in use by square roots, which cost a tenth of pow."""
    if beta == 0.75:
        root = scale.rsqrt()
        return root.sqrt().mul_(root)
    if beta == 0.5:
        return scale.rsqrt()
    return scale.pow(-beta)


def _add_neighbours(x, size, total):
    """Write the sum of `x` over the `size` channels (axis 1) around each to `total`, which is returned."""
    total.copy_(x)
    for shift in range(1, min(size // 2, x.shape[1] - 1) + 1):
        total[:, shift:].add_(x[:, :-shift])
        total[:, :-shift].add_(x[:, shift:])
    return total
