"""A convolution whose result oneDNN rectifies while it writes it, for the pass caffe.passes.relu_in_convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe.core import onednn
from caffe.core.lazy_torch import Function, torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from caffe.layers._convolution import Window


def is_supported(x: Tensor, win: Window, out: Sequence[int], group: int) -> bool:
    """Return whether `apply` computes the convolution of `x` to planes of `out`: float32 in N x H x W x C on the CPU.

    Axes of size 1 and groups are left to the convolution without ReLU, whose workarounds (caffe.core.onednn) they need.
    """
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    plain = plain and x.dim() == 4 and group == 1 and min(*x.shape[1:], *out) > 1
    plain = (
        plain
        and onednn.is_regular(x.shape[1], win, x.shape[2:], out)
        and x.is_contiguous(memory_format=torch.channels_last)
    )
    return plain and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def apply(x: Tensor, weight: Tensor, bias: Tensor | None, win: Window) -> Tensor:
    """Return the rectified convolution; its gradient is that of the convolution, for a `dy` that the ReLU masked."""
    return _ConvolutionReLU.apply(x, weight, bias, list(win.stride), list(win.pad), list(win.dilation))


class _ConvolutionReLU(Function):
    @staticmethod
    def forward(ctx, x, weight, bias, stride, pad, dilation):
        ctx.save_for_backward(x, weight)
        ctx.geometry = stride, pad, dilation
        ctx.bias_sizes = None if bias is None else list(bias.shape)
        return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, pad, stride, dilation, 1, "relu", [], "")

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        needed = list(ctx.needs_input_grad[:3])
        grads = torch.ops.aten.convolution_backward(
            dy, x, weight, ctx.bias_sizes, *ctx.geometry, False, [0, 0], 1, needed
        )
        return *grads, None, None, None
