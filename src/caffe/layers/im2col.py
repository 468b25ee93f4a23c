"""Im2col: rearranges the windows of a convolution into channels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.layers._convolution import attributes, columns, window
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Im2col(Layer):
    """Copies channel c under kernel element k to channel c * K + k of the top (im2col_layer.cpp).

    The parameters are Convolution's kernel, stride, pad, dilation and axis; K is the number of kernel elements.
    """

    examples = (
        Example("convolution_param { kernel_size: 3 stride: 2 pad: 1 }", [(2, 3, 6, 7)]),
        Example("convolution_param { kernel_h: 2 kernel_w: 3 dilation: 2 }", [(1, 2, 6, 7)]),
        Example("convolution_param { kernel_size: 2 axis: 2 }", [(2, 2, 3, 5)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.convolution_param
        self.channel = self.axis(p.axis, bottom)
        axes = len(bottom) - self.channel - 1
        self.need(axes >= 1, "axis %d leaves no spatial axes of the bottom %s", p.axis, bottom)
        self.window = window(p, axes)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.need(
            len(bottom) == self.channel + 1 + len(self.window.kernel),
            "the bottom had %d spatial axes when the layer was built, now %s",
            len(self.window.kernel),
            bottom,
        )
        channels = bottom[self.channel] * math.prod(self.window.kernel)
        return [(*bottom[: self.channel], channels, *self.window.size_down(bottom[self.channel + 1 :]))]

    def forward(self, x: Tensor) -> Tensor:
        axes = len(self.window.kernel)
        cols = columns(x.reshape(-1, *x.shape[self.channel :]), self.window)
        order = (0, 1, *range(2 + axes, 2 + 2 * axes), *range(2, 2 + axes))
        return cols.permute(order).reshape(self.top_shapes(tuple(x.shape))[0])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        # A depthwise convolution with one-hot kernels.
        shape, win = tuple(g.shape(bottoms[0])), self.window
        self.need(len(win.kernel) <= 3, "Im2col with %d spatial axes cannot be exported to ONNX", len(win.kernel))
        channels, elements = shape[self.channel], math.prod(win.kernel)
        flat = (math.prod(shape[: self.channel]), *shape[self.channel :])
        kernels = np.tile(np.eye(elements, dtype=np.float32), (channels, 1)).reshape(-1, 1, *win.kernel)
        end = [p + o for p, o in zip(win.pad, win.overhang(flat[2:]))]
        source, result = bottoms[0], tops[0]
        if flat != shape:
            source, result = g.temp("flat"), g.temp("result")
            g.node("Reshape", [bottoms[0], g.constant(list(flat), "shape")], [source])
        g.node("Conv", [source, g.constant(kernels, "kernels")], [result], **attributes(win, end, channels))
        if flat != shape:
            g.node("Reshape", [result, g.constant(list(self.top_shapes(shape)[0]), "shape")], tops)
