"""Split: passes a blob to several layers."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Tensor, register


@register
class Split(Layer):
    """Every top is the bottom; the diffs of the tops are summed (split_layer.cpp). Net inserts it automatically."""

    num_top = (1, None)
    shares_data = True
    examples = (Example("", [(2, 3, 4, 5)], tops=2),)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        return tuple(x.view_as(x) for _ in range(self.top_count))

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        for top in tops:
            g.node("Identity", bottoms, [top])
