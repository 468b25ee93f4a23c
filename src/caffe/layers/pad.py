"""Pad: a constant around the bottom."""

import numpy as np

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, register


@register
class Pad(Layer):
    """`paddings` gives two numbers an axis, before and behind; the border is constant_values (Synopsys)."""

    in_place = False
    examples = (Example("pad_param { paddings: [0, 0, 0, 1, 1, 2, 3, 0] constant_values: 0.5 }", [(1, 2, 3, 4)]),)

    def setup(self, bottom):
        self.pads = list(self.param.pad_param.paddings)
        self.need(
            len(self.pads) == 2 * len(bottom), "paddings needs %d numbers, received %d", 2 * len(bottom), len(self.pads)
        )

    def top_shapes(self, bottom):
        return [tuple(n + a + b for n, a, b in zip(bottom, self.pads[::2], self.pads[1::2]))]

    def forward(self, x):
        pairs = [n for axis in reversed(range(x.dim())) for n in self.pads[2 * axis : 2 * axis + 2]]
        return F.pad(x, pairs, value=self.param.pad_param.constant_values)

    def to_onnx(self, g, bottoms, tops):
        value = g.constant(np.array(self.param.pad_param.constant_values, np.float32), "value")
        g.node("Pad", [bottoms[0], g.constant(self.pads[::2] + self.pads[1::2], "pads"), value], tops)
