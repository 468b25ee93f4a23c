"""Convolution over any number of spatial axes."""

from __future__ import annotations

import dataclasses
from typing import Any

from caffe.core import layout, onednn
from caffe.core.lazy_torch import F, torch
from caffe.kernels import depthwise
from caffe.layers import _fast_convolution
from caffe.layers._convolution import BaseConvolution, Window, add_bias, attributes, columns, einsum_columns, pad_ends
from caffe.layers.base import Example, Layer, Shape, Tensor, register

_BY_AXES = {1: "conv1d", 2: "conv2d", 3: "conv3d"}


@register
class Convolution(BaseConvolution, Layer):
    """Correlates each bottom with num_output learned kernels and adds a bias (conv_layer.cpp).

    `axis` is the channel axis; the axes after it are spatial, those before it are batch axes. Kernel, stride, pad and
    dilation are given once, once per spatial axis, or (kernel, stride and pad of two axes) as _h and _w. Weights are
    num_output x channels / group x kernel; the bias num_output. Several bottoms share the weights.

    Forks: pad_t, pad_b, pad_l, pad_r and pad_type (Synopsys; 1 is TensorFlow's SAME), dilation_h and dilation_w (TSN),
    hole, hole_h and hole_w (DeepLab v1: the dilation), and relu with negative_slope (intel/caffe), which applies a ReLU
    to the top.
    """

    num_bottom = num_top = (1, None)
    same_count = True
    rectify = False  # set by a pass while forward shall apply a ReLU to the top if it can
    rectified = False  # whether it did
    fast_gradient = False  # set by a pass: backward may compute the weights' gradient without oneDNN
    examples: tuple = (
        Example(
            'convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "xavier" } }',
            [(2, 3, 8, 9)],
        ),
        Example(
            "convolution_param { num_output: 6 group: 2 kernel_h: 3 kernel_w: 2 dilation: 2 "
            'weight_filler { type: "msra" } }',
            [(2, 4, 8, 9)],
        ),
        Example(
            'convolution_param { num_output: 3 kernel_size: 3 bias_term: false weight_filler { type: "gaussian" } }',
            [(2, 3, 9)],
        ),
        Example(
            "convolution_param { num_output: 2 axis: 2 kernel_size: 2 pad: 0 pad: 1 pad: 0 "
            'weight_filler { type: "xavier" } }',
            [(1, 2, 3, 4, 3, 4)],
        ),
        Example(
            'convolution_param { num_output: 3 kernel_size: 2 weight_filler { type: "xavier" } }',
            [(1, 2, 4, 5)] * 2,
            tops=2,
        ),
        Example(
            'convolution_param { num_output: 3 kernel_size: 3 stride: 2 pad_type: 1 weight_filler { type: "xavier" } }',
            [(1, 2, 6, 7)],
        ),
        Example(
            'convolution_param { num_output: 3 kernel_size: 3 pad_t: 2 pad_r: 1 weight_filler { type: "xavier" } }',
            [(1, 2, 6, 7)],
        ),
    )

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None, win: Window) -> Tensor:
        over = win.overhang(x.shape[2:])
        function = _BY_AXES.get(len(win.kernel))
        if function is None:
            return add_bias(einsum_columns(columns(x, win), self.grouped(weight)), bias)
        out = win.size_down(x.shape[2:])
        if win.end is not None:
            x = pad_ends(x, win.pad, win.end)
            win = dataclasses.replace(win, pad=(0,) * len(over), end=None)
        if self.native and depthwise.is_supported(x, weight, win):
            return depthwise.convolve(x, weight, bias, win.stride[0])
        self.rectified = self.rectify and _fast_convolution.can_rectify(x, win, out, self.group)
        gradient = _fast_convolution.gradient(x, weight, win, out, self.group) if self.fast_gradient else None
        if self.rectified or gradient:
            return _fast_convolution.apply(x, weight, bias, win, self.rectified, gradient)
        context, x = onednn.prepare(x, win, x.shape[2:], out)
        x = pad_ends(x, (0,) * len(over), over)
        with context:
            return getattr(F, function)(x, weight, bias, win.stride, win.pad, win.dilation, self.group)

    def to_memory_format(self, tensor: Tensor) -> Tensor:
        if self.memory_format is torch.channels_last and layout.is_single_channel_plane(tensor):
            return layout.single_channel_last(tensor)
        return super().to_memory_format(tensor)

    def emit(self, g: Any, inputs: list[str], outputs: list[str], win: Window, sizes: Shape) -> None:
        end = [p + o for p, o in zip(win.pad_end, win.overhang(sizes))]
        g.node("Conv", inputs, outputs, **attributes(win, end, self.group))
