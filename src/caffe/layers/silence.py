"""Silence."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Silence(Layer):
    """Reads its bottoms without producing tops, so that they are not outputs of the net (silence_layer.cpp).

    The diffs of the bottoms are zero.
    """

    num_bottom = (1, None)
    num_top = 0
    examples = (Example("", [(2, 3), (2, 4)], tops=0),)

    def top_shapes(self, *bottoms: Shape) -> list[Shape]:
        return []

    def forward(self, *bottoms: Tensor) -> tuple[()]:
        return ()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        """Emit nothing."""
