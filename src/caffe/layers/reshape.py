"""Reshape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Reshape(Layer):
    """Changes the shape without changing the values (reshape_layer.cpp). Not in place.

    `shape` replaces `num_axes` axes (-1: all) from `axis` on. In `shape`, 0 copies the corresponding axis of the
    bottom, and a single -1 is inferred. With num_axes 0, the axes of `shape` are inserted before `axis` (-1: at the
    end). With `pixelshuffler` r (intel/caffe, Synopsys), C r^2 x H x W becomes C x H r x W r instead: channels become
    pixels (Shi et al. 2016).
    """

    in_place = False
    shares_data = True
    examples = (
        Example("reshape_param { shape { dim: 0 dim: -1 } }", [(2, 3, 4, 5)]),
        Example("reshape_param { shape { dim: 2 dim: -1 } axis: 1 num_axes: 2 }", [(2, 3, 4, 5)]),
        Example("reshape_param { shape { dim: 1 } axis: -1 num_axes: 0 }", [(2, 3)]),
        Example("reshape_param { pixelshuffler: 2 }", [(2, 8, 3, 4)]),
    )

    def setup(self, bottom: Shape) -> None:
        dims = list(self.param.reshape_param.shape.dim)
        self.need(dims.count(-1) <= 1, "shape must not have more than one -1, received %s", dims)
        self.need(all(d >= -1 for d in dims), "dimensions must not be less than -1, received %s", dims)

    def _shuffled(self, bottom):
        r = self.param.reshape_param.pixelshuffler
        self.need(
            len(bottom) == 4 and bottom[1] % (r * r) == 0,
            "pixelshuffler %d needs a bottom with 4 axes and a multiple of %d channels, received %s",
            r,
            r * r,
            bottom,
        )
        return (bottom[0], bottom[1] // (r * r), bottom[2] * r, bottom[3] * r)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        p = self.param.reshape_param
        if p.pixelshuffler > 1:
            return [self._shuffled(bottom)]
        start = p.axis if p.axis >= 0 else len(bottom) + p.axis + 1
        self.need(0 <= start <= len(bottom), "axis %d is out of range for a bottom of shape %s", p.axis, bottom)
        self.need(p.num_axes >= -1, "num_axes must be 0 or more, or -1 for all; received %d", p.num_axes)
        end = len(bottom) if p.num_axes == -1 else start + p.num_axes
        self.need(end <= len(bottom), "axis + num_axes = %d exceeds the axes of the bottom %s", end, bottom)
        middle = [self._copied(bottom, start + i) if d == 0 else d for i, d in enumerate(p.shape.dim)]
        top = [*bottom[:start], *middle, *bottom[end:]]
        if -1 in middle:
            rest = math.prod(d for d in top if d != -1)
            self.need(
                rest and math.prod(bottom) % rest == 0,
                "the bottom %s cannot be reshaped to %s",
                bottom,
                tuple(top),
            )
            top[top.index(-1)] = math.prod(bottom) // rest
        self.need(
            math.prod(top) == math.prod(bottom),
            "output count must match input count: the bottom is %s, the top would be %s",
            bottom,
            tuple(top),
        )
        return [tuple(top)]

    def _copied(self, bottom, axis):
        self.need(axis < len(bottom), "shape has a 0 for axis %d, which the bottom %s does not have", axis, bottom)
        return bottom[axis]

    def forward(self, x: Tensor) -> Tensor:
        if self.param.reshape_param.pixelshuffler > 1:
            return F.pixel_shuffle(x, self.param.reshape_param.pixelshuffler)
        return x.reshape(self.top_shapes(tuple(x.shape))[0])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shuffle = self.param.reshape_param.pixelshuffler
        if shuffle > 1:
            g.node("DepthToSpace", bottoms, tops, blocksize=shuffle, mode="CRD")
            return
        bottom = g.shape(bottoms[0])
        shape = list(self.top_shapes(bottom)[0])
        dims, start = list(self.param.reshape_param.shape.dim), self.param.reshape_param.axis
        if g.rows_vary and -1 in dims:
            shape[dims.index(-1) + (start if start >= 0 else len(bottom) + start + 1)] = -1
        elif shape and bottom and shape[0] == bottom[0] and math.prod(shape):
            shape[0] = -1  # any batch size
        g.node("Reshape", [bottoms[0], g.constant(np.array(shape, np.int64), "shape")], tops)
