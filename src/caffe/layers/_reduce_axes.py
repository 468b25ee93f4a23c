"""Shared code of Synopsys' reductions over any axes: ReduceSum, ReduceMean, ReduceMax, ReduceMin, ReduceProd."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Layer, Shape, Tensor


class ReduceAxesLayer(Layer):
    """Base of the reductions; a subclass names its parameters and its ONNX node, and reduces one axis."""

    in_place = False
    onnx_type = ""

    def options(self) -> Any:
        """Return the parameters: axis and keepdims."""
        raise NotImplementedError

    def reduce(self, x: Tensor, axis: int) -> Tensor:
        """Return `x` with one value along `axis`, which is kept."""
        raise NotImplementedError

    def axes(self, bottom: Shape) -> list[int]:
        """Return the axes to reduce, in ascending order; by default all."""
        given = list(self.options().axis)
        return sorted({self.axis(axis, bottom) for axis in given}) if given else list(range(len(bottom)))

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        axes = self.axes(bottom)
        if self.options().keepdims:
            return [tuple(1 if axis in axes else size for axis, size in enumerate(bottom))]
        return [tuple(size for axis, size in enumerate(bottom) if axis not in axes)]

    def forward(self, x: Tensor) -> Tensor:
        shape = self.top_shapes(tuple(x.shape))[0]
        for axis in self.axes(tuple(x.shape)):
            x = self.reduce(x, axis)
        return x.reshape(shape)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        axes = self.axes(g.shape(bottoms[0]))
        g.node(self.onnx_type, bottoms, tops, axes=axes, keepdims=int(self.options().keepdims))
