"""Base class of the layers that only move values: a reshape, an exchange of axes, and a reshape."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Layer, Shape, Tensor


class RearrangementLayer(Layer):
    """A layer whose top is its bottom in another order; subclasses implement `steps` and `top_shapes`."""

    def steps(self, shape: Shape) -> tuple[Shape, Shape]:
        """Return the shape as which the bottom is read, and the order of its axes in the top."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        split, order = self.steps(tuple(x.shape))
        return x.reshape(split).permute(order).reshape(self.top_shapes(tuple(x.shape))[0])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = tuple(g.shape(bottoms[0]))
        split, order = self.steps(shape)
        reshaped, permuted = g.temp("reshaped"), g.temp("permuted")
        g.node("Reshape", [bottoms[0], g.constant(list(split), "split")], [reshaped])
        g.node("Transpose", [reshaped], [permuted], perm=list(order))
        g.node("Reshape", [permuted, g.constant(list(self.top_shapes(shape)[0]), "shape")], tops)
