"""Pow: the first bottom to the power of the second, with broadcasting."""

from __future__ import annotations

from caffe.core.lazy_torch import torch
from caffe.layers._broadcast import BroadcastLayer
from caffe.layers.base import Example, Tensor, register


@register
class Pow(BroadcastLayer):
    """The first bottom to the power of the second, with broadcasting (Synopsys).

    The axes are aligned at the end; an axis of size 1 is repeated.
    """

    num_bottom = (2, 2)
    onnx_type = "Pow"
    examples = (
        Example("", [(2, 3, 4, 5), (2, 3, 1, 1)], ("positive", "positive")),
        Example("", [(3, 1), (2, 1, 4)], ("positive", "positive")),
    )

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        return torch.pow(x, self.second(other))
