"""LRN by kernels (lrn.c, lrn_within.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe.core.lazy_torch import Function, torch
from caffe.kernels import library

if TYPE_CHECKING:
    from torch import Tensor


def is_supported(x: Tensor) -> bool:
    """Return whether the kernels are available for the bottom `x`: float32, N x H x W x C in memory."""
    return x.dim() == 4 and library.supports(x) and x.is_contiguous(memory_format=torch.channels_last)


def across_channels(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """Return x (k + alpha / size * sum of x^2 over `size` channels around each) ^ -beta."""
    sizes = x.numel() // x.shape[1], x.shape[1]
    return _Lrn.apply(x, "lrn_across_channels", (*sizes, size, alpha, beta, k))


def within_channel(x: Tensor, size: int, alpha: float, beta: float) -> Tensor:
    """Return x (1 + alpha / size^2 * sum of x^2 over `size` x `size` pixels around each) ^ -beta."""
    images, channels, height, width = x.shape
    return _Lrn.apply(x, "lrn_within_channel", (images, height, width, channels, size, alpha, beta, 1.0))


class _Lrn(Function):
    @staticmethod
    def forward(ctx, x, kernel, settings):
        ctx.save_for_backward(x)
        ctx.kernel, ctx.settings, y = kernel, settings, torch.empty_like(x)
        library.call(kernel, x, None, y, *settings)
        return y

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        dy, dx = dy.contiguous(memory_format=torch.channels_last), torch.empty_like(x)
        library.call(ctx.kernel, x, dy, dx, *ctx.settings)
        return dx, None, None
