"""MaskPooling: features times a mask."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class MaskPooling(Layer):
    """Features (N x C x H x W) times masks (N x 1 x H x W) (MNC)."""

    num_bottom = 2
    in_place = False
    examples = (Example("", [(2, 3, 4, 5), (2, 1, 4, 5)]),)

    def top_shapes(self, bottom: Shape, mask: Shape) -> list[Shape]:
        expected = (bottom[0], 1, *bottom[2:])
        self.need(mask == expected, "the mask must be %s, received %s", expected, mask)
        return [bottom]

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * mask

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Mul", bottoms, tops)
