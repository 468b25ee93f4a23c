"""Work around oneDNN kernels that compute degenerate convolutions incorrectly.

oneDNN (of PyTorch 2.13) reads memory outside the tensor, or crashes, for degenerate windows: a single window along an
axis with a stride above 1, a kernel larger than the plane, or padding of more than half a kernel. Its channels-last
kernels do so in float32, its AMX kernels in bfloat16 in every layout. These rare, small convolutions are therefore
computed in float32 from tensors in C order. tests/differential compares the results.
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


def prepare(x: Tensor, win: Window, sizes: Sequence[int], out: Sequence[int]) -> tuple[AbstractContextManager, Tensor]:
    """Prepare the convolution of planes of `sizes` to `out`: return the context to compute it in, and its bottom.

    The bottom is `x`; for a degenerate `win` (layers._convolution.Window) it is in C order and float32, and the context
    disables autocast.
    """
    if x.device.type != "cpu" or is_regular(win, sizes, out):
        return contextlib.nullcontext(), x
    if _in_bfloat16(x):
        return torch.autocast("cpu", enabled=False), layout.in_c_order(x.float())
    return contextlib.nullcontext(), layout.in_c_order(x)


def _in_bfloat16(x: Tensor) -> bool:
    return x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")


def is_regular(win: Window, sizes: Sequence[int], out: Sequence[int]) -> bool:
    """Return whether no axis has a single window with a stride, a kernel larger than the plane, or large padding."""
    axes = zip(sizes, out, win.extent, win.stride, win.pad)
    return all(n >= extent and pad <= extent // 2 and (m > 1 or stride == 1) for n, m, extent, stride, pad in axes)
