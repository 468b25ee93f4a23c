"""Mish."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import F, torch
from caffe.layers.base import Example, Layer, Tensor, register


@register
class Mish(Layer):
    """y = x * tanh(log(1 + e^x)) (Misra 2019; MobileNet-YOLO, Synopsys)."""

    examples = (Example("", [(2, 3, 4, 5)]),)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.tanh(F.softplus(x))

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        soft, gate = g.temp("soft"), g.temp("gate")
        g.node("Softplus", bottoms, [soft])
        g.node("Tanh", [soft], [gate])
        g.node("Mul", [bottoms[0], gate], tops)
