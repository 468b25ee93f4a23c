"""Depthwise 3 x 3 convolution by kernels (depthwise.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe.core.lazy_torch import Function, torch
from caffe.kernels import library

if TYPE_CHECKING:
    from torch import Tensor

    from caffe.layers._convolution import Window

BLOCK = 16  # channels that a kernel processes at a time


def is_supported(x: Tensor, weight: Tensor, win: Window) -> bool:
    """Return whether the kernels are available for the bottom `x` (float32, N x H x W x C in memory) and the window.

    Every channel has one 3 x 3 kernel; padding and dilation are 1, the stride is 1 or 2.
    """
    if x.dim() != 4 or tuple(weight.shape) != (x.shape[1], 1, 3, 3) or x.shape[1] % BLOCK:
        return False
    if win.end is not None or not tuple(win.pad) == tuple(win.dilation) == (1, 1):
        return False
    if tuple(win.stride) not in ((1, 1), (2, 2)) or torch.is_autocast_enabled("cpu"):
        return False
    return library.supports(x) and x.is_contiguous(memory_format=torch.channels_last)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """Return the convolution of `x` with `weight`, for which `is_supported`."""
    return _Depthwise.apply(x, weight, bias, stride)


class _Depthwise(Function):
    @staticmethod
    def forward(ctx, x, weight, bias, stride):
        ctx.save_for_backward(x, weight)
        images, channels, *size = x.shape
        out = [(n - 1) // stride + 1 for n in size]
        ctx.shape = images, *size, channels, stride, *out
        y = torch.empty(images, channels, *out, memory_format=torch.channels_last)
        bias = x.new_zeros(channels) if bias is None else bias.contiguous()
        library.call("depthwise_forward", x, _taps(weight), bias, y, *ctx.shape)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        dy, dx, dw, db = dy.contiguous(memory_format=torch.channels_last), None, None, None
        if ctx.needs_input_grad[0]:
            dx = torch.empty_like(x)
            library.call("depthwise_bottom", dy, _taps(weight), dx, *ctx.shape)
        if ctx.needs_input_grad[1]:
            taps = x.new_empty(9, x.shape[1])
            library.call("depthwise_weights", x, dy, taps, *ctx.shape)
            dw = taps.t().reshape(weight.shape)
        if ctx.needs_input_grad[2]:
            db = dy.sum((0, 2, 3))
        return dx, dw, db, None


def _taps(weight):
    """Return `weight` (C x 1 x 3 x 3) as 9 x C."""
    return weight.reshape(-1, 9).t().contiguous()
