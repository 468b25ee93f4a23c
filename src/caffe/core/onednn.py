"""Work around oneDNN kernels that compute degenerate convolutions incorrectly.

oneDNN (of PyTorch 2.13) reads memory outside the tensor, or crashes, for degenerate windows: a single window along an
axis with a stride above 1, a kernel larger than the plane, or padding of more than half a kernel. Its channels-last
kernels do so in float32, its AMX kernels in bfloat16 in every layout. With AVX2, the gradient of the weights of a
channels-last 1x1 convolution with a stride writes behind its workspace if the bottom has 2 to 7 channels. These rare,
small convolutions are therefore computed in float32 from tensors in C order. tests/differential compares the results.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from caffe.core import layout
from caffe.core.lazy_torch import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from caffe.layers._convolution import Window


_VECTOR = 16  # float32 numbers of the widest vectors, those of AVX-512


def prepare(x: Tensor, win: Window, sizes: Sequence[int], out: Sequence[int]) -> tuple[AbstractContextManager, Tensor]:
    """Prepare the convolution of planes of `sizes` to `out`: return the context to compute it in, and its bottom.

    The bottom is `x`; for a degenerate `win` (layers._convolution.Window) it is in C order and float32, and the context
    disables autocast.
    """
    if x.device.type != "cpu" or is_regular(x.shape[1], win, sizes, out):
        return contextlib.nullcontext(), x
    if _in_bfloat16(x):
        return torch.autocast("cpu", enabled=False), layout.in_c_order(x.float())
    return contextlib.nullcontext(), layout.in_c_order(x)


def _in_bfloat16(x: Tensor) -> bool:
    return x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")


def is_regular(channels: int, win: Window, sizes: Sequence[int], out: Sequence[int]) -> bool:
    """Return whether oneDNN computes the convolution correctly.

    No axis has a single window with a stride, a kernel larger than the plane, or large padding, and a 1x1 kernel with a
    stride has the channels of a vector.
    """
    if channels < _VECTOR and max(win.kernel) == 1 < max(win.stride):
        return False
    axes = zip(sizes, out, win.extent, win.stride, win.pad)
    return all(n >= extent and pad <= extent // 2 and (m > 1 or stride == 1) for n, m, extent, stride, pad in axes)
