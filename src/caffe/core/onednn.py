"""Keeps degenerate convolutions away from the oneDNN kernels that get them wrong.

oneDNN (of PyTorch 2.13) reads memory of others, or crashes, where windows are degenerate: a single window along an axis
with a stride above 1, a kernel longer than the plane, or padding beyond half a kernel. Its channels-last kernels do so in
float32, its AMX kernels in bfloat16 in every layout. So these settings, rare and small, are computed in float32 and
from tensors in C order: tests/differential compares them.
"""

from __future__ import annotations

import contextlib

from caffe.core import layout
from caffe.core.lazy_torch import torch


def products(x, win, sizes, out):
    """The context for a convolution of planes of `sizes` to `out` by `win` (spatial.Window), and its bottom.

    `x` as it is; or in C order and float32, with autocast off, where the setting is degenerate.
    """
    if x.device.type != "cpu" or is_common(win, sizes, out):
        return contextlib.nullcontext(), x
    if _in_bfloat16(x):
        return torch.autocast("cpu", enabled=False), layout.in_c_order(x.float())
    return contextlib.nullcontext(), layout.in_c_order(x)


def _in_bfloat16(x):
    return x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")


def is_common(win, sizes, out):
    """Whether no axis has a lone window with a stride, a kernel beyond the plane, or much padding."""
    axes = zip(sizes, out, win.extent, win.stride, win.pad)
    return all(n >= extent and pad <= extent // 2 and (m > 1 or stride == 1) for n, m, extent, stride, pad in axes)
