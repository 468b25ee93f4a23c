"""The gradient of a convolution's weights by a kernel (convolution.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe.core.lazy_torch import torch
from caffe.kernels import library

if TYPE_CHECKING:
    from torch import Tensor


def is_supported(x: Tensor) -> bool:
    """Return whether the kernel is available for the bottom `x`: float32, N x H x W x C in memory."""
    return x.dim() == 4 and library.supports(x) and x.is_contiguous(memory_format=torch.channels_last)


def weights_gradient(
    x: Tensor, dy: Tensor, kernel: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the weights (outputs x channels x kernel) and of the bias of a convolution of one group.

    Parameters
    ----------
    x : Tensor
        The bottom, for which `is_supported`.
    dy : Tensor
        The gradient of the top, of any layout.
    kernel, stride, pad : tuple of int
        Vertical and horizontal; the windows of `dy` may exceed the padding.
    """
    dy = dy.contiguous(memory_format=torch.channels_last)
    (images, channels, *size), (outputs, *out) = x.shape, dy.shape[1:]
    dw, db = x.new_empty(outputs, channels, *kernel), x.new_empty(outputs)
    sizes = (images, *size, channels, *out, outputs, *kernel, *stride, *pad)
    library.call("convolution_weights_gradient", x, dy, dw, db, *sizes)
    return dw, db
