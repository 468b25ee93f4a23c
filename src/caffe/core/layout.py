"""Memory layout of 4-axis tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def lay_out(tensor: torch.Tensor, memory_format: torch.memory_format | None = None) -> torch.Tensor:
    """Return `tensor` in `memory_format` (None: unchanged); in C order if it has only one channel, row or column.

    torch ignores the stride of an axis of size 1, so such a tensor fits both layouts and that stride can be any number.
    oneDNN uses the stride and then reads other rows or memory outside the tensor. C order is unambiguous.
    """
    if tensor.dim() != 4:
        return tensor
    if 1 in tensor.shape[1:]:
        return in_c_order(tensor)
    return tensor if memory_format is None else tensor.contiguous(memory_format=memory_format)


def is_single_channel_plane(tensor: torch.Tensor) -> bool:
    """Return whether `tensor` is N x 1 x H x W with several rows and columns."""
    return tensor.dim() == 4 and tensor.shape[1] == 1 and min(tensor.shape[2:]) > 1


def single_channel_last(tensor: torch.Tensor) -> torch.Tensor:
    """Return N x 1 x H x W `tensor` with the strides of N x H x W x C, which are the same memory.

    A convolution then computes its top in that layout, which its readers use. Both strides of 1 are unambiguous here:
    the tensor has several rows and columns.
    """
    tensor = in_c_order(tensor)
    _, _, height, width = tensor.shape
    return tensor.as_strided(tensor.shape, (height * width, 1, width, 1))


def in_c_order(tensor: torch.Tensor) -> torch.Tensor:
    """Return `tensor` contiguous, with the strides of a new tensor of its shape."""
    tensor = tensor.contiguous()
    strides = [1]
    for size in tensor.shape[:0:-1]:
        strides.insert(0, strides[0] * max(size, 1))
    return tensor if tensor.stride() == tuple(strides) else tensor.as_strided(tensor.shape, strides)
