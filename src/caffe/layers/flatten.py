"""Flatten."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Flatten(Layer):
    """Merges the axes from `axis` to `end_axis` into one (flatten_layer.cpp). Not in place.

    With `end_axis` directly before `axis`, nothing is merged and an axis of size 1 is inserted.
    """

    in_place = False
    shares_data = True
    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("flatten_param { axis: 1 end_axis: 2 }", [(2, 3, 4, 5)]),
        Example("flatten_param { axis: -2 }", [(2, 3, 4, 5)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.flatten_param
        self.first, self.end = self.axis(p.axis, bottom), self.axis(p.end_axis, bottom) + 1
        self.need(
            self.first <= self.end,
            "axis (%d) must not be after end_axis (%d) for a bottom of shape %s",
            p.axis,
            p.end_axis,
            bottom,
        )

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.setup(bottom)
        return [(*bottom[: self.first], math.prod(bottom[self.first : self.end]), *bottom[self.end :])]

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(self.top_shapes(tuple(x.shape))[0])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = list(self.top_shapes(g.shape(bottoms[0]))[0])
        if self.first:
            shape[0] = -1  # any batch size
        g.node("Reshape", [bottoms[0], g.constant(np.array(shape, np.int64), "shape")], tops)
