"""ArgMax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class ArgMax(Layer):
    """The indices of the `top_k` largest values, largest first, later index first on ties (argmax_layer.cpp).

    With `axis`, they replace that axis; `out_max_val` selects the values instead. Without `axis`, each item is
    flattened and the top is N x 1 x top_k, or with `out_max_val` N x 2 x top_k: indices, then values. No gradient.
    """

    differentiable = False
    examples = (
        Example("", [(2, 7)]),
        Example("argmax_param { top_k: 3 out_max_val: true }", [(2, 3, 4, 5)]),
        Example("argmax_param { top_k: 2 axis: 1 }", [(2, 5, 3, 2)]),
        Example("argmax_param { out_max_val: true axis: -1 }", [(2, 5, 3)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.argmax_param
        self.need(
            bottom and all(bottom), "the bottom must have at least one axis and one value, received shape %s", bottom
        )
        self.need(p.top_k >= 1, "top_k must be 1 or more, received %d", p.top_k)
        self.along = self.axis(p.axis, bottom) if p.HasField("axis") else None
        size = math.prod(bottom[1:]) if self.along is None else bottom[self.along]
        self.need(p.top_k <= size, "top_k must not exceed the %d values, received %d", size, p.top_k)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.setup(bottom)
        p = self.param.argmax_param
        if self.along is not None:
            return [(*bottom[: self.along], p.top_k, *bottom[self.along + 1 :])]
        ones = (1,) * (max(len(bottom), 3) - 3)
        return [(bottom[0], 2 if p.out_max_val else 1, p.top_k, *ones)]

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.argmax_param
        shape = self.top_shapes(tuple(x.shape))[0]
        rows, axis = (x.reshape(x.shape[0], -1), 1) if self.along is None else (x, self.along)
        values, indices = torch.sort(rows.flip(axis), dim=axis, descending=True, stable=True)
        values, indices = (
            values.narrow(axis, 0, p.top_k),
            rows.shape[axis] - 1 - indices.narrow(axis, 0, p.top_k),
        )
        indices = indices.to(x.dtype)
        if self.along is not None:
            return values if p.out_max_val else indices
        return (torch.stack([indices, values], 1) if p.out_max_val else indices).reshape(shape)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.argmax_param
        shape = g.shape(bottoms[0])
        rows, axis = bottoms[0], self.along
        if axis is None:
            rows, axis = g.temp("rows"), 1
            g.node("Flatten", bottoms, [rows], axis=1)
        size = math.prod(shape[1:]) if self.along is None else shape[axis]
        rank = 2 if self.along is None else len(shape)
        if p.top_k == 1:
            values, indices = self._largest(g, rows, axis, size, rank)
        else:
            values, indices = self._top_k(g, rows, axis, size)
        if self.along is not None:
            g.node("Identity", [values if p.out_max_val else indices], tops)
            return
        both = indices
        if p.out_max_val:
            both = g.temp("both")
            g.node("Concat", [indices, values], [both], axis=1)
        top = np.array([-1, *self.top_shapes(shape)[0][1:]], np.int64)
        g.node("Reshape", [both, g.constant(top, "shape")], tops)

    def _largest(self, g, rows, axis, size, rank):
        """Emit the maximum and its last index without TopK, since runtimes differ in how it breaks ties."""
        best, below, indices = g.temp("best"), g.temp("below"), g.temp("indices")
        is_best, position = g.temp("is_best"), g.temp("position")
        shape = [size if i == axis else 1 for i in range(axis + 1)] + [1] * (rank - axis - 1)
        numbers = np.arange(size, dtype=np.float32).reshape(shape)
        g.node("ReduceMax", [rows], [best], axes=[axis], keepdims=1)
        g.node("Less", [rows, best], [below])
        g.node("Not", [below], [is_best])
        g.node("Cast", [is_best], [position], to=1)  # FLOAT
        numbered = g.temp("numbered")
        g.node("Mul", [position, g.constant(numbers, "numbers")], [numbered])
        g.node("ReduceMax", [numbered], [indices], axes=[axis], keepdims=1)
        return best, indices

    def _top_k(self, g, rows, axis, size):
        """Emit TopK over the reversed axis, since ONNX returns the earlier of two equal values first."""
        back, values, reversed_indices = g.temp("back"), g.temp("values"), g.temp("reversed_indices")
        indices, numbers = g.temp("indices"), g.temp("numbers")
        k = np.array([self.param.argmax_param.top_k], np.int64)
        g.node("Gather", [rows, g.constant(np.arange(size - 1, -1, -1), "reversed")], [back], axis=axis)
        g.node("TopK", [back, g.constant(k, "k")], [values, reversed_indices], axis=axis)
        g.node("Sub", [g.constant(np.array(size - 1, np.int64), "last"), reversed_indices], [indices])
        g.node("Cast", [indices], [numbers], to=1)  # FLOAT
        return values, numbers
