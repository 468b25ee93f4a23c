"""Squeeze: removes axes of size 1."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Squeeze(Layer):
    """Removes the axes `axis`, which must have size 1; by default all axes of size 1 (Synopsys)."""

    in_place = False
    shares_data = True
    examples = (Example("squeeze_param { axis: 2 axis: 3 }", [(2, 3, 1, 1)]), Example("", [(1, 3, 1, 5)]))

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        axes = [self.axis(axis, bottom) for axis in self.param.squeeze_param.axis]
        self.need(
            all(bottom[axis] == 1 for axis in axes), "the axes %s of the bottom %s must have size 1", axes, bottom
        )
        axes = axes or [axis for axis, size in enumerate(bottom) if size == 1]
        return [tuple(size for axis, size in enumerate(bottom) if axis not in axes)]

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(self.top_shapes(tuple(x.shape))[0])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = self.top_shapes(tuple(g.shape(bottoms[0])))[0]
        g.node("Reshape", [bottoms[0], g.constant(list(shape), "shape")], tops)
