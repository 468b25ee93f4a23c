"""Round."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Tensor, register


@register
class Round(Layer):
    """y = the nearest integer; a half is rounded to the even one (Synopsys)."""

    differentiable = False
    examples = (Example("", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        return x.round()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Round", bottoms, tops)
