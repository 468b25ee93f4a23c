"""Deconvolution: transposed convolution."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from caffe.core import onednn
from caffe.core.lazy_torch import F, torch
from caffe.layers._convolution import BaseConvolution, Window, add_bias, attributes, scatter
from caffe.layers.base import Example, Layer, Shape, Tensor, register

_BY_AXES = {1: "conv_transpose1d", 2: "conv_transpose2d", 3: "conv_transpose3d"}


@register
class Deconvolution(BaseConvolution, Layer):
    """Transposed convolution: each bottom value adds a weighted kernel to the top (deconv_layer.cpp).

    The parameters are those of Convolution with bottom and top exchanged: output sizes are stride (size - 1) +
    dilation (kernel - 1) + 1 - 2 pad. Weights are channels x num_output / group x kernel.
    """

    num_bottom = num_top = (1, None)
    same_count = True
    reverse = True
    examples = (
        Example(
            'convolution_param { num_output: 3 kernel_size: 4 stride: 2 pad: 1 weight_filler { type: "xavier" } }',
            [(2, 3, 4, 5)],
        ),
        Example(
            "convolution_param { num_output: 4 group: 4 kernel_size: 4 stride: 2 pad: 1 bias_term: false "
            'weight_filler { type: "bilinear" } }',
            [(1, 4, 3, 5)],
        ),
        Example(
            "convolution_param { num_output: 4 group: 2 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 "
            'dilation: 2 weight_filler { type: "gaussian" } }',
            [(2, 2, 3, 4)],
        ),
        Example(
            'convolution_param { num_output: 2 kernel_size: 3 stride: 2 weight_filler { type: "msra" } }',
            [(1, 3, 5)],
        ),
    )

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None, win: Window) -> Tensor:
        group = self.group
        function = _BY_AXES.get(len(win.kernel))
        if function is not None and win.end is None:
            context, x = onednn.prepare(x, win, win.size_up(x.shape[2:]), x.shape[2:])
            with context:
                return getattr(F, function)(x, weight, bias, win.stride, win.pad, 0, group, win.dilation)
        out, sizes = win.size_up(x.shape[2:]), x.shape[2:]
        flat = x.reshape(x.shape[0], group, x.shape[1] // group, -1)
        cols = torch.einsum("ngmo,gmck->ngcok", flat, self.grouped(weight))
        cols = cols.reshape(x.shape[0], -1, *sizes, *win.kernel)
        return add_bias(scatter(cols, win, out), bias)

    def exported(self, weight: np.ndarray, win: Window) -> tuple[np.ndarray, Window]:
        """Return a dilated kernel with its holes as zeros: OpenVINO 2021.4's Myriad compiler ignores the dilation."""
        if all(d == 1 for d in win.dilation):
            return weight, win
        spread = np.zeros((*weight.shape[:2], *win.extent), weight.dtype)
        index = (slice(None), slice(None), *(slice(None, None, d) for d in win.dilation))
        spread[index] = weight
        return spread, dataclasses.replace(win, kernel=win.extent, dilation=(1,) * len(win.extent))

    def emit(self, g: Any, inputs: list[str], outputs: list[str], win: Window, sizes: Shape) -> None:
        g.node("ConvTranspose", inputs, outputs, **attributes(win, win.pad_end, self.group))
