"""LRN across channels by kernels (lrn.c)."""

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
    return _AcrossChannels.apply(x, size, alpha, beta, k)


class _AcrossChannels(Function):
    @staticmethod
    def forward(ctx, x, *settings):
        ctx.save_for_backward(x)
        ctx.settings, y = settings, torch.empty_like(x)
        library.call("lrn_forward", x, y, x.numel() // x.shape[1], x.shape[1], *settings)
        return y

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        dy, dx = dy.contiguous(memory_format=torch.channels_last), torch.empty_like(x)
        library.call("lrn_backward", x, dy, dx, x.numel() // x.shape[1], x.shape[1], *ctx.settings)
        return dx, None, None, None, None
