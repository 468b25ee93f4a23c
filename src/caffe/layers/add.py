"""Add: a sum with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.errors import CaffeError
from caffe.layers._broadcast import equal_ranks_to_onnx
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Add(Layer):
    """Sum of two bottoms, or of a bottom and a blob of shape `add_shape`, with broadcasting (Synopsys).

    The axes are aligned at the end; an axis of size 1 is repeated.
    """

    num_bottom = (1, 2)
    in_place = False
    examples = (Example("", [(2, 3, 4, 5), (2, 3, 1, 1)]), Example("", [(2, 3, 4), (4,)]))

    def setup(self, bottom: Shape, other: Shape | None = None) -> None:
        if other is None:
            self.add_blob(tuple(self.param.add_param.add_shape))

    def top_shapes(self, bottom: Shape, other: Shape | None = None) -> list[Shape]:
        other = self.blobs[0].shape if other is None else other
        try:
            return [np.broadcast_shapes(bottom, other)]
        except ValueError:
            raise CaffeError(f"the sizes of the axes must be equal or 1, received {bottom} and {other}") from None

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        return x + (self.blobs[0].tensor if other is None else other)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        other = bottoms[1] if len(bottoms) > 1 else g.constant(self.blobs[0].data, "addend")
        shapes = [g.shape(bottoms[0]), g.shape(bottoms[1]) if len(bottoms) > 1 else self.blobs[0].shape]
        g.node("Add", equal_ranks_to_onnx(g, [bottoms[0], other], shapes), tops)
