"""AbsVal."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Tensor, register


@register
class AbsVal(Layer):
    """y = |x|; the gradient at 0 is 0 (absval_layer.cpp). Not in place."""

    in_place = False
    examples = (Example("", [(2, 3, 4, 5)]),)

    def forward(self, x: Tensor) -> Tensor:
        return x.abs()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Abs", bottoms, tops)
