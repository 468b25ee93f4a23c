"""Add: a sum with broadcasting."""

from __future__ import annotations

from caffe.layers._broadcast import BroadcastLayer
from caffe.layers.base import Example, Shape, Tensor, register


@register
class Add(BroadcastLayer):
    """Sum of two bottoms, or of a bottom and a blob of shape `add_shape`, with broadcasting (Synopsys).

    The axes are aligned at the end; an axis of size 1 is repeated.
    """

    onnx_type, operand = "Add", "addend"
    examples = (Example("", [(2, 3, 4, 5), (2, 3, 1, 1)]), Example("", [(2, 3, 4), (4,)]))

    def blob_shape(self) -> Shape:
        return tuple(self.param.add_param.add_shape)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        return x + self.second(other)
