"""ExpandDimsND: adds axes of size 1."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class ExpandDimsND(Layer):
    """Inserts axes of size 1 at the places `axis` of the bottom, one after the other (Synopsys).

    A negative place counts from behind the last axis.
    """

    in_place = False
    shares_data = True
    examples = (Example("expand_dims_nd_param { axis: 0 axis: 2 }", [(2, 3, 4)]),)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        shape = list(bottom)
        for number, place in enumerate(self.param.expand_dims_nd_param.axis):
            self.need(
                -len(bottom) - 1 <= place <= len(bottom),
                "axis %d is out of range: the bottom has %d axes",
                place,
                len(bottom),
            )
            shape.insert((place if place >= 0 else place + len(bottom) + 1) + number, 1)
        return [tuple(shape)]

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(self.top_shapes(tuple(x.shape))[0])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = self.top_shapes(tuple(g.shape(bottoms[0])))[0]
        g.node("Reshape", [bottoms[0], g.constant(list(shape), "shape")], tops)
