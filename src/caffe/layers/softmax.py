"""Softmax."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Softmax(Layer):
    """exp(x) / sum exp(x) along `axis` (softmax_layer.cpp)."""

    examples = (
        Example("", [(2, 7)]),
        Example("softmax_param { axis: 2 }", [(2, 3, 4, 5)]),
    )

    def setup(self, bottom: Shape) -> None:
        self.along = self.axis(self.param.softmax_param.axis, bottom)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(x.float(), self.along)  # below 1, bf16 has a resolution of only 0.004

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        # Before opset 13, ONNX's Softmax flattens all axes from `axis` on, so the axis is moved to the end.
        rank = len(g.shape(bottoms[0]))
        if self.along == rank - 1:
            g.node("Softmax", bottoms, tops, axis=rank - 1)
            return
        order = [i for i in range(rank) if i != self.along] + [self.along]
        last, soft = g.temp("last"), g.temp("soft")
        g.node("Transpose", bottoms, [last], perm=order)
        g.node("Softmax", [last], [soft], axis=rank - 1)
        g.node("Transpose", [soft], tops, perm=[order.index(i) for i in range(rank)])
