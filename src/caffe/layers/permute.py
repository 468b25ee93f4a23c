"""Permute: permutes the axes."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Permute(Layer):
    """Permutes the axes into `order` (SSD).

    The axes that are not listed follow in their original order.
    """

    in_place = False
    examples = (
        Example("permute_param { order: 0 order: 2 order: 3 order: 1 }", [(2, 3, 4, 5)]),
        Example("permute_param { order: 1 }", [(2, 3, 4)]),
    )

    def setup(self, bottom: Shape) -> None:
        first = list(self.param.permute_param.order)
        self.need(
            len(set(first)) == len(first) and all(axis < len(bottom) for axis in first),
            "order must list different axes of the bottom %s, received %s",
            bottom,
            first,
        )
        self.order = first + [axis for axis in range(len(bottom)) if axis not in first]

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        return [tuple(bottom[axis] for axis in self.order)]

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order).contiguous()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Transpose", bottoms, tops, perm=self.order)
