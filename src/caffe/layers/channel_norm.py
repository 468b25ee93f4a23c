"""ChannelNorm: the length of the vector of channels."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class ChannelNorm(Layer):
    """y = sqrt(sum x^2) over the channels, N x 1 x H x W (FlowNet2).

    The gradient is x / (y + 1e-9).
    """

    in_place = False
    examples = (Example("", [(2, 3, 4, 5)]),)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)
        return [(bottom[0], 1, *bottom[2:])]

    def forward(self, x: Tensor) -> Tensor:
        return torch.linalg.vector_norm(x, dim=1, keepdim=True)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("ReduceL2", bottoms, tops, axes=[1], keepdims=1)
