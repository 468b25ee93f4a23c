"""Softsign."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Tensor, register


@register
class Softsign(Layer):
    """y = x / (1 + |x|) (Synopsys)."""

    examples = (Example("", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        return x / (1 + x.abs())

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Softsign", bottoms, tops)
