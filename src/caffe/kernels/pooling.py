"""MAX pooling by kernels (pooling.c)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from caffe.core.lazy_torch import Function, torch
from caffe.kernels import library

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_WINDOW = 256  # values: a place in it is one byte


def is_supported(x: Tensor, kernel: Sequence[int]) -> bool:
    """Return whether the kernels take the bottom `x`: float32, N x H x W x C in memory, and an image per thread."""
    supported = x.dim() == 4 and library.supports(x) and x.is_contiguous(memory_format=torch.channels_last)
    return supported and len(x) >= torch.get_num_threads() and math.prod(kernel) <= LARGEST_WINDOW


def maximum(x: Tensor, out: Sequence[int], kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int]) -> Tensor:
    """Return the maxima of `out` windows of `x`, equal to those of PyTorch, and so is the gradient.

    Parameters
    ----------
    x : Tensor
        For which `is_supported`.
    out, kernel, stride, pad : sequence of int
        Vertical and horizontal. Every window has a value of `x`.
    """
    return _Maximum.apply(x, (*out, *kernel, *stride, *pad))


class _Maximum(Function):
    @staticmethod
    def forward(ctx, x, window):
        images, channels, *size = x.shape
        y = torch.empty(images, channels, *window[:2], memory_format=torch.channels_last)
        places = torch.empty(y.numel(), dtype=torch.uint8)
        ctx.sizes, ctx.shape = (images, *size, channels, *window), x.shape
        ctx.save_for_backward(places)
        library.call("max_pooling_forward", x, y, places, *ctx.sizes)
        return y

    @staticmethod
    def backward(ctx, dy):
        (places,) = ctx.saved_tensors
        dx = torch.empty(ctx.shape, memory_format=torch.channels_last)
        dy = dy.contiguous(memory_format=torch.channels_last)
        library.call("max_pooling_backward", dy, places, dx, *ctx.sizes)
        return dx, None
