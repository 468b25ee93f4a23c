"""Axpy."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Axpy(Layer):
    """y = a * x + b, with one value of a per item and channel (SENet).

    Bottoms: a, x and b (Hu et al. 2017).
    """

    num_bottom = 3
    examples = (
        Example("", [(2, 3, 1, 1), (2, 3, 4, 5), (2, 3, 4, 5)]),
        Example("", [(2, 3), (2, 3, 4, 5), (2, 3, 4, 5)]),
    )

    def top_shapes(self, scale: Shape, x: Shape, other: Shape) -> list[Shape]:
        self.need(
            scale[:2] == x[:2] and all(n == 1 for n in scale[2:]),
            "expected one value of a per item and channel of x, received %s for x %s",
            scale,
            x,
        )
        self.need(x == other, "x and b must have the same shape, received %s and %s", x, other)
        return [x]

    def forward(self, scale: Tensor, x: Tensor, other: Tensor) -> Tensor:
        return scale.reshape(*x.shape[:2], *[1] * (x.dim() - 2)) * x + other

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        scale, shape = bottoms[0], tuple(g.shape(bottoms[1]))
        if len(g.shape(scale)) != len(shape):
            scale = g.temp("scale")
            columns = [*shape[:2], *[1] * (len(shape) - 2)]
            g.node("Reshape", [bottoms[0], g.constant(columns, "shape")], [scale])
        product = g.temp("product")
        g.node("Mul", [bottoms[1], scale], [product])
        g.node("Add", [product, bottoms[2]], tops)
