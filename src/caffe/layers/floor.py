"""Floor."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Tensor, register


@register
class Floor(Layer):
    """y = the largest integer that is not above x (Synopsys)."""

    differentiable = False
    examples = (Example("", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        return x.floor()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Floor", bottoms, tops)
