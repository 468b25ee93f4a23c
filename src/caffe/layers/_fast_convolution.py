"""A convolution that is faster than PyTorch's in training, for the passes that ask for it.

Its forward can rectify the result while oneDNN writes it (caffe.passes.relu_in_convolution), and its backward can
compute the weights' gradient by the native kernel or as a matrix product (caffe.passes.weights_gradient).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from caffe.core import onednn
from caffe.core.lazy_torch import F, Function, torch
from caffe.kernels import convolution as kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from caffe.layers._convolution import Window

CHUNK_BYTES = 1 << 24  # of the columns that one matrix product reads
LARGEST_KERNEL = 25  # elements; beyond, copying the columns takes longer than the product saves
FEWEST_OUTPUTS = 64
MANY_WEIGHTS = 1 << 20


def can_rectify(x: Tensor, win: Window, out: Sequence[int], group: int) -> bool:
    """Return whether `apply` can rectify the convolution of `x` to planes of `out`.

    Axes of size 1 are left to the convolution without ReLU, whose workarounds (caffe.core.onednn) they need.
    """
    plain = _is_plain(x, win, out, group) and x.shape[1] > 1
    return plain and torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def gradient(
    x: Tensor, weight: Tensor, win: Window, out: Sequence[int], group: int
) -> Callable[[Tensor, Tensor, Window], tuple[Tensor, Tensor]] | None:
    """Return the function that computes the gradients of `weight` and bias faster than oneDNN, or None.

    It takes `x`, the gradient of the top, and `win`.
    """
    if not _is_plain(x, win, out, group):
        return None
    by_gemm = _gains_by_gemm(weight)
    if kernels.is_supported(x) and max(win.dilation) == 1 and not (by_gemm and _favors_gemm(weight)):
        return _by_kernel
    return _by_gemm if by_gemm else None


def _favors_gemm(weight):
    """Return whether a matrix product is faster than the kernel, whose sums do not fit into the cache."""
    return weight.numel() > MANY_WEIGHTS or math.prod(weight.shape[2:]) == 1


def _gains_by_gemm(weight):
    """Return whether a matrix product computes the gradient of `weight` faster than oneDNN.

    oneDNN's kernel reaches about half of the speed of a matrix product, but needs no copy of the windows (columns);
    with few outputs the copy takes longer than the product.
    """
    outputs, _, *kernel = weight.shape
    size = math.prod(kernel)
    return size == 1 or (outputs >= FEWEST_OUTPUTS and size <= LARGEST_KERNEL)


def _is_plain(x, win, out, group):
    """Return whether the convolution is float32 in N x H x W x C memory on the CPU, without degenerate axes."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    plain = plain and x.dim() == 4 and group == 1 and min(*x.shape[2:], *out) > 1
    plain = plain and onednn.is_regular(x.shape[1], win, x.shape[2:], out)
    return plain and x.is_contiguous(memory_format=torch.channels_last)


def apply(
    x: Tensor, weight: Tensor, bias: Tensor | None, win: Window, rectify: bool, gradient: Callable | None
) -> Tensor:
    """Return the convolution of `x`, rectified if `rectify`.

    Its gradient is that of the convolution, for a `dy` that the ReLU masked; `gradient`, of the function of that name,
    computes that of weights and bias.
    """
    return _Convolution.apply(x, weight, bias, win, rectify, gradient)


class _Convolution(Function):
    @staticmethod
    def forward(ctx, x, weight, bias, win, rectify, gradient):
        ctx.save_for_backward(x, weight)
        ctx.window, ctx.gradient = win, gradient
        ctx.bias_sizes = None if bias is None else list(bias.shape)
        stride, pad, dilation = list(win.stride), list(win.pad), list(win.dilation)
        if rectify:
            return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, pad, stride, dilation, 1, "relu", [], "")
        return F.conv2d(x, weight, bias, stride, pad, dilation)

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        win, needed = ctx.window, list(ctx.needs_input_grad[:3])
        own: Sequence[Tensor | None] = (None, None)
        if ctx.gradient is not None:
            if any(needed[1:]):
                own = [value if need else None for value, need in zip(ctx.gradient(x, dy, win), needed[1:])]
            needed[1:] = False, False
        geometry = list(win.stride), list(win.pad), list(win.dilation), False, [0, 0], 1
        grads = (None, None, None)
        if any(needed):
            grads = torch.ops.aten.convolution_backward(dy, x, weight, ctx.bias_sizes, *geometry, needed)
        return (*(grads if ctx.gradient is None else (grads[0], *own)), None, None, None)


def _by_kernel(x, dy, win):
    return kernels.weights_gradient(x, dy, win.kernel, win.stride, win.pad)


def _by_gemm(x, dy, win):
    return weights_gradient(x, dy, win), dy.permute(0, 2, 3, 1).flatten(0, 2).sum(0)


def weights_gradient(x: Tensor, dy: Tensor, win: Window) -> Tensor:
    """Return the gradient of a convolution's weights: outputs x channels x kernel.

    Parameters
    ----------
    x : Tensor
        The bottom, N x C x H x W in N x H x W x C memory.
    dy : Tensor
        The gradient of the top, N x outputs x height x width.
    win : Window
        The convolution's window, of two axes.
    """
    rows = dy.permute(0, 2, 3, 1)
    columns = _columns(x.permute(0, 2, 3, 1), win, rows.shape[1:3])
    outputs, size = rows.shape[3], math.prod(columns.shape[3:])
    if columns.shape[3:5] == (1, 1) and columns.is_contiguous():
        dw = rows.reshape(-1, outputs).t() @ columns.view(-1, size)
    else:
        dw = x.new_zeros(outputs, size)
        images = max(1, CHUNK_BYTES // (4 * size * math.prod(rows.shape[1:3])))
        for some_rows, some_columns in zip(rows.split(images), columns.split(images)):
            dw.addmm_(some_rows.reshape(-1, outputs).t(), some_columns.reshape(-1, size))
    return dw.view(outputs, *columns.shape[3:]).permute(0, 3, 1, 2).contiguous()


def _columns(x, win, out):
    """Return the windows of `x` (N x H x W x C) as a view, N x `out` x kernel x C, of `x` with its padding."""
    if any(win.pad):
        x = F.pad(x, (0, 0, win.pad[1], win.pad[1], win.pad[0], win.pad[0]))
    image, *along, channel = x.stride()
    steps = [s * n for s, n in zip(along, win.stride)]
    inside = [s * n for s, n in zip(along, win.dilation)]
    return x.as_strided((x.shape[0], *out, *win.kernel, x.shape[3]), (image, *steps, *inside, channel))
