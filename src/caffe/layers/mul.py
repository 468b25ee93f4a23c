"""Mul: a product with broadcasting."""

from __future__ import annotations

from caffe.layers._broadcast import BroadcastLayer
from caffe.layers.base import Example, Shape, Tensor, register


@register
class Mul(BroadcastLayer):
    """Product of two bottoms, or of a bottom and a blob of shape `mul_shape`, with broadcasting (Synopsys).

    The axes are aligned at the end; an axis of size 1 is repeated.
    """

    onnx_type, operand = "Mul", "factor"
    examples = (
        Example("", [(2, 3, 4, 5), (2, 3, 1, 1)]),
        Example("mul_param { mul_shape: 3 mul_shape: 1 mul_shape: 1 }", [(2, 3, 4, 5)]),
    )

    def blob_shape(self) -> Shape:
        return tuple(self.param.mul_param.mul_shape)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        return x * self.second(other)
