"""Div: quotient of two bottoms, with broadcasting."""

from __future__ import annotations

from caffe.layers._broadcast import BroadcastLayer
from caffe.layers.base import Example, Tensor, register


@register
class Div(BroadcastLayer):
    """Quotient of two bottoms, with broadcasting (Synopsys).

    The axes are aligned at the end; an axis of size 1 is repeated.
    """

    num_bottom = (2, 2)
    onnx_type = "Div"
    examples = (
        Example("", [(2, 3, 4, 5), (2, 3, 1, 1)], ("positive", "positive")),
        Example("", [(3, 1), (2, 1, 4)], ("positive", "positive")),
    )

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        return x / self.second(other)
