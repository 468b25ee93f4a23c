"""Ceil."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Tensor, register


@register
class Ceil(Layer):
    """y = the smallest integer that is not below x (Synopsys)."""

    differentiable = False
    examples = (Example("", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        return x.ceil()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Ceil", bottoms, tops)
