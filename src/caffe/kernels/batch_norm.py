"""BatchNorm, Scale and ReLU in one kernel (batch_norm.c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from caffe.core.lazy_torch import torch
from caffe.kernels import library

if TYPE_CHECKING:
    from torch import Tensor


def is_supported(x: Tensor) -> bool:
    """Return whether the kernels are available for the bottom `x`: float32, N x C or N x H x W x C in memory."""
    if x.dim() == 4:
        return library.supports(x) and x.is_contiguous(memory_format=torch.channels_last)
    return x.dim() == 2 and library.supports(x) and x.is_contiguous()


def forward(
    x: Tensor, gain: Tensor, bias: Tensor | None, eps: float, relu: bool, given: Sequence[Tensor] | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return y = (x - mean) / sqrt(variance + eps) * gain + bias, mean, (unbiased) variance and 1 / std per channel.

    Parameters
    ----------
    x : Tensor
        For which `is_supported`.
    gain, bias : Tensor
        Per channel; no bias is 0.
    relu : bool
        Replace negative values of y by 0.
    given : (mean, variance), optional
        The statistics to use instead of those of the batch.
    """
    channels = x.shape[1]
    y, inv_std = torch.empty_like(x), x.new_empty(channels)
    mean, variance = given or (x.new_empty(channels), x.new_empty(channels))
    shape = x.numel() // channels, channels
    library.call("batch_norm_forward", x, y, *shape, gain, bias, eps, relu, given is not None, mean, variance, inv_std)
    return y, mean, variance, inv_std


def backward(
    dy: Tensor,
    x: Tensor,
    y: Tensor | None,
    weights: Sequence[Tensor | None],
    statistics: Sequence[Tensor],
    relu: bool,
    given: bool,
    dx: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Write the gradient of x to `dx` (None: not needed; it may be `dy`), and return those of gain and bias.

    Parameters
    ----------
    dy, x : Tensor
        Of equal layout.
    y : Tensor, optional
        The result of forward, from which to take the mask of the ReLU; by default the mask is computed from x.
    weights : gain and bias (or None)
    statistics : mean and 1 / std, as `forward` returned them
    relu, given : bool
        As in `forward`.
    """
    channels = x.shape[1]
    dgain, dbias = x.new_empty(channels), x.new_empty(channels)
    shape = x.numel() // channels, channels
    library.call("batch_norm_backward", x, dy, y, dx, *shape, *weights, *statistics, relu, given, dgain, dbias)
    return dgain, dbias
