"""NegReLU."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Tensor, register


@register
class NegReLU(Layer):
    """y = x if x < 0, otherwise negative_slope * x (FlowNet2)."""

    examples = (Example("relu_param { negative_slope: 0.1 }", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x < 0, x, self.param.relu_param.negative_slope * x)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.relu_param
        negative, mirrored = g.temp("negative"), g.temp("mirrored")
        g.node("Neg", bottoms, [mirrored])
        g.node("LeakyRelu", [mirrored], [negative], alpha=p.negative_slope)
        g.node("Neg", [negative], tops)
