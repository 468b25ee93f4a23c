"""Mul: a product with broadcasting."""

import numpy as np

from caffe.layers.base import Example, Layer, register


@register
class Mul(Layer):
    """The product of two bottoms, or of a bottom and a blob of shape `mul_shape`; axes are aligned at the end, an extent of 1
    repeats (Synopsys).
    """

    num_bottom = (1, 2)
    in_place = False
    examples = (
        Example("", [(2, 3, 4, 5), (2, 3, 1, 1)]),
        Example("mul_param { mul_shape: 3 mul_shape: 1 mul_shape: 1 }", [(2, 3, 4, 5)]),
    )

    def setup(self, bottom, other=None):
        if other is None:
            self.add_blob(tuple(self.param.mul_param.mul_shape))

    def top_shapes(self, bottom, other=None):
        other = self.blobs[0].shape if other is None else other
        try:
            return [np.broadcast_shapes(bottom, other)]
        except ValueError:
            self.need(False, "extents must be equal or 1: %s, %s", bottom, other)

    def forward(self, x, other=None):
        return x * (self.blobs[0].tensor if other is None else other)

    def to_onnx(self, g, bottoms, tops):
        other = bottoms[1:] or [g.constant(self.blobs[0].data, "factor")]
        g.node("Mul", [bottoms[0], *other], tops)
