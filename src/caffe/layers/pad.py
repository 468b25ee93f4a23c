"""Pad: constant padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Pad(Layer):
    """Constant padding (Synopsys).

    `paddings` has two values per axis, before and after; the padding has the value constant_values.
    """

    in_place = False
    examples = (Example("pad_param { paddings: [0, 0, 0, 1, 1, 2, 3, 0] constant_values: 0.5 }", [(1, 2, 3, 4)]),)

    def setup(self, bottom: Shape) -> None:
        self.pads = list(self.param.pad_param.paddings)
        self.need(
            len(self.pads) == 2 * len(bottom), "expected %d paddings, received %d", 2 * len(bottom), len(self.pads)
        )

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        return [tuple(n + a + b for n, a, b in zip(bottom, self.pads[::2], self.pads[1::2]))]

    def forward(self, x: Tensor) -> Tensor:
        pairs = [n for axis in reversed(range(x.dim())) for n in self.pads[2 * axis : 2 * axis + 2]]
        return F.pad(x, pairs, value=self.param.pad_param.constant_values)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        value = g.constant(np.array(self.param.pad_param.constant_values, np.float32), "value")
        g.node("Pad", [bottoms[0], g.constant(self.pads[::2] + self.pads[1::2], "pads"), value], tops)
