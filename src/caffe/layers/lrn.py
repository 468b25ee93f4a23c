"""LRN: local response normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import F, Function, torch
from caffe.kernels import lrn as kernels
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2

WITHIN_CHANNEL = caffe_pb2.LRNParameter.WITHIN_CHANNEL
CHUNK_ELEMENTS = 1 << 16  # per thread: the few arrays of a chunk fit into the L2 cache


@register
class LRN(Layer):
    """Local response normalization: y = x (k + alpha / n * sum of x^2 over n neighbors)^-beta (lrn_layer.cpp).

    n is local_size. The neighbors are channels (ACROSS_CHANNELS), or an n x n window of pixels (WITHIN_CHANNEL, where
    the divisor is n^2 and k is always 1, as in Caffe). Krizhevsky et al. 2012.
    """

    examples = (
        Example("lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }", [(2, 7, 4, 5)]),
        Example("lrn_param { local_size: 3 alpha: 2 beta: 0.6 k: 1.5 }", [(2, 4, 3, 5)]),
        Example("lrn_param { local_size: 3 alpha: 2 beta: 1 k: 0 }", [(2, 4, 3, 5)]),
        Example("lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL }", [(2, 3, 6, 5)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.lrn_param
        self.need(p.local_size % 2 == 1, "local_size must be odd, received %d", p.local_size)
        self.within = p.norm_region == WITHIN_CHANNEL

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.need(
            len(bottom) == 4,
            "the bottom must have 4 axes (num, channels, height, width), received %s",
            bottom,
        )
        return [bottom]

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.lrn_param
        if not x.numel():
            return x.clone()
        native = self.native and kernels.is_supported(x)
        if self.within:
            within = kernels.within_channel if native else WithinChannel.apply
            return within(x, p.local_size, p.alpha, p.beta)
        across = kernels.across_channels if native else AcrossChannels.apply
        return across(x, p.local_size, p.alpha, p.beta, p.k)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
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
    elif p.k > 0:  # OpenVINO rounds the bias to an integer, so k is factored out of the sum
        unscaled = g.temp("unscaled")
        g.node("LRN", bottoms, [unscaled], size=p.local_size, alpha=p.alpha / p.k, beta=p.beta, bias=1.0)
        g.node("Mul", [unscaled, g.constant(np.float32(p.k**-p.beta), "k")], tops)
    else:
        channels = g.shape(bottoms[0])[1]
        square, scale, power = (g.temp(n) for n in ("square", "scale", "power"))
        index = np.arange(channels)
        neighbors = np.abs(index[:, None] - index) <= p.local_size // 2
        band = (neighbors * np.float32(p.alpha / p.local_size)).astype(np.float32)[..., None, None]
        g.node("Mul", [bottoms[0], bottoms[0]], [square])
        constants = g.constant(band, "band"), g.constant(np.full(channels, p.k, np.float32), "k")
        g.node("Conv", [square, *constants], [scale], kernel_shape=[1, 1])
        g.node("Pow", [scale, g.constant(np.float32(-p.beta), "power")], [power])
        g.node("Mul", [bottoms[0], power], tops)


class WithinChannel(Function):
    """The normalization within windows of pixels with an explicit gradient, several times faster than autograd.

    With s = 1 + alpha * mean of x^2: y = x s^-beta, and dx = dy s^-beta - 2 alpha beta * x * mean(dy x s^-beta / s),
    since the windows that contain a pixel form the window around it.
    """

    @staticmethod
    def forward(ctx, x, size, alpha, beta):
        window, y, scale = (size, 1, size // 2), torch.empty_like(x), torch.empty_like(x, dtype=torch.float32)
        for xs, ys, scales in _items(x, y, scale):
            xs = xs.float()
            scales.copy_(F.avg_pool2d(xs.square(), *window).mul_(alpha).add_(1))
            ys.copy_(_power(scales, beta).mul_(xs))
        ctx.save_for_backward(x, scale)
        ctx.window, ctx.beta, ctx.factor = window, beta, 2 * alpha * beta
        return y

    @staticmethod
    def backward(ctx, dy):
        x, scale = ctx.saved_tensors
        dx = torch.empty_like(x)
        for xs, scales, dys, dxs in _items(x, scale, dy, dx):
            xs, direct = xs.float(), _power(scales, ctx.beta).mul_(dys.float())
            mean = F.avg_pool2d((direct * xs).div_(scales), *ctx.window)
            dxs.copy_(direct.addcmul_(xs, mean, value=-ctx.factor))
        return dx, None, None, None


class AcrossChannels(Function):
    """The normalization across channels with an explicit gradient, several times faster than autograd.

    With s = k + alpha / n * sum x^2: y = x s^-beta, and dx = dy s^-beta - 2 alpha beta / n * x * sum(dy x s^-beta / s).
    All steps are done for one chunk of pixels at a time, so that its values stay in the cache.
    """

    @staticmethod
    def forward(ctx, x, size, alpha, beta, k):
        x = x if x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()
        y, scale = torch.empty_like(x), torch.empty_like(x, dtype=torch.float32)
        for xs, ys, scales in _chunks(x, y, scale):
            xs = xs.float()
            _sum_neighbors(xs.square(), size, scales).mul_(alpha / size).add_(k)
            ys.copy_(_power(scales, beta).mul_(xs))
        ctx.save_for_backward(x, scale)
        ctx.size, ctx.beta, ctx.factor = size, beta, 2 * alpha * beta / size
        return y

    @staticmethod
    def backward(ctx, dy):
        x, scale = ctx.saved_tensors
        dx, channels_last = torch.empty_like(x), x.is_contiguous(memory_format=torch.channels_last)
        dy = dy.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
        for xs, scales, dys, dxs in _chunks(x, scale, dy, dx):
            xs, direct = xs.float(), _power(scales, ctx.beta).mul_(dys.float())
            neighbor_sum = _sum_neighbors((direct * xs).div_(scales), ctx.size, torch.empty_like(direct))
            dxs.copy_(direct.sub_(neighbor_sum.mul_(ctx.factor).mul_(xs)))
        return dx, None, None, None, None


def _chunks(*tensors):
    """Split `tensors` (of equal layout) into chunks: pixels x C for channels last, otherwise N x C x pixels."""
    if tensors[0].is_contiguous(memory_format=torch.channels_last):
        tensors = tuple(t.permute(0, 2, 3, 1).view(-1, t.shape[1]) for t in tensors)
    else:
        tensors = tuple(t.view(*t.shape[:2], -1) for t in tensors)
    chunk_size = CHUNK_ELEMENTS * torch.get_num_threads() // max(1, tensors[0][:1].numel())
    if tensors[0].device.type != "cpu":
        chunk_size = len(tensors[0])
    return zip(*(t.split(max(1, chunk_size)) for t in tensors))


def _items(*tensors):
    """Split `tensors` of equal shape (N, ...) into chunks of images."""
    chunk_size = max(1, CHUNK_ELEMENTS * torch.get_num_threads() // tensors[0][0].numel())
    return zip(*(t.split(chunk_size) for t in tensors))


def _power(scale, beta):
    """Return scale ^ -beta; the usual exponents use square roots, which cost a tenth of pow."""
    if beta == 0.75:
        root = scale.rsqrt()
        return root.sqrt().mul_(root)
    if beta == 0.5:
        return scale.rsqrt()
    return scale.pow(-beta)


def _sum_neighbors(x, size, total):
    """Write the sum of `x` over the `size` channels (axis 1) around each channel to `total`, and return it."""
    total.copy_(x)
    for shift in range(1, min(size // 2, x.shape[1] - 1) + 1):
        total[:, shift:].add_(x[:, :-shift])
        total[:, :-shift].add_(x[:, shift:])
    return total
