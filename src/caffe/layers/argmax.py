"""ArgMax."""

import math

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register


@register
class ArgMax(Layer):
    """The positions of the `top_k` largest values, largest first; of equal values the later one comes
    first (argmax_layer.cpp).

    With `axis` they replace that axis, and are the values themselves with `out_max_val`. Without it each item
    is taken as one row and the top is N x 1 x top_k, or N x 2 x top_k with `out_max_val`: positions, then
    values. It has no derivative.
    """

    differentiable = False
    examples = (
        Example("", [(2, 7)]),
        Example("argmax_param { top_k: 3 out_max_val: true }", [(2, 3, 4, 5)]),
        Example("argmax_param { top_k: 2 axis: 1 }", [(2, 5, 3, 2)]),
        Example("argmax_param { out_max_val: true axis: -1 }", [(2, 5, 3)]),
    )

    def setup(self, bottom):
        p = self.param.argmax_param
        self.need(bottom and all(bottom), "there is no largest value in a bottom of shape %s", bottom)
        self.need(p.top_k >= 1, "top_k must be 1 or more, received %d", p.top_k)
        self.along = self.axis(p.axis, bottom) if p.HasField("axis") else None
        size = math.prod(bottom[1:]) if self.along is None else bottom[self.along]
        self.need(p.top_k <= size, "top_k must not exceed the %d values to choose from, received %d", size, p.top_k)

    def top_shapes(self, bottom):
        self.setup(bottom)
        p = self.param.argmax_param
        if self.along is not None:
            return [(*bottom[: self.along], p.top_k, *bottom[self.along + 1 :])]
        ones = (1,) * (max(len(bottom), 3) - 3)
        return [(bottom[0], 2 if p.out_max_val else 1, p.top_k, *ones)]

    def forward(self, x):
        p = self.param.argmax_param
        shape = self.top_shapes(tuple(x.shape))[0]
        rows, axis = (x.reshape(x.shape[0], -1), 1) if self.along is None else (x, self.along)
        values, places = torch.sort(rows.flip(axis), dim=axis, descending=True, stable=True)
        values, places = (
            values.narrow(axis, 0, p.top_k),
            rows.shape[axis] - 1 - places.narrow(axis, 0, p.top_k),
        )
        places = places.to(x.dtype)
        if self.along is not None:
            return values if p.out_max_val else places
        return (torch.stack([places, values], 1) if p.out_max_val else places).reshape(shape)

    def to_onnx(self, g, bottoms, tops):
        p = self.param.argmax_param
        shape = g.shape(bottoms[0])
        rows, axis = bottoms[0], self.along
        if axis is None:
            rows, axis = g.temp("rows"), 1
            g.node("Flatten", bottoms, [rows], axis=1)
        size = math.prod(shape[1:]) if self.along is None else shape[axis]
        rank = 2 if self.along is None else len(shape)
        if p.top_k == 1:
            values, places = self._largest(g, rows, axis, size, rank)
        else:
            values, places = self._top_k(g, rows, axis, size)
        if self.along is not None:
            g.node("Identity", [values if p.out_max_val else places], tops)
            return
        both = places
        if p.out_max_val:
            both = g.temp("both")
            g.node("Concat", [places, values], [both], axis=1)
        top = np.array([-1, *self.top_shapes(shape)[0][1:]], np.int64)
        g.node("Reshape", [both, g.constant(top, "shape")], tops)

    def _largest(self, g, rows, axis, size, rank):
        """The maximum and the last position that has it; runtimes differ on which one TopK gives of equal
        values.
        """
        best, below, places = g.temp("best"), g.temp("below"), g.temp("places")
        is_best, position = g.temp("is_best"), g.temp("position")
        shape = [size if i == axis else 1 for i in range(axis + 1)] + [1] * (rank - axis - 1)
        numbers = np.arange(size, dtype=np.float32).reshape(shape)
        g.node("ReduceMax", [rows], [best], axes=[axis], keepdims=1)
        g.node("Less", [rows, best], [below])
        g.node("Not", [below], [is_best])
        g.node("Cast", [is_best], [position], to=1)  # FLOAT
        numbered = g.temp("numbered")
        g.node("Mul", [position, g.constant(numbers, "numbers")], [numbered])
        g.node("ReduceMax", [numbered], [places], axes=[axis], keepdims=1)
        return best, places

    def _top_k(self, g, rows, axis, size):
        """TopK over the reversed axis, since ONNX gives the earlier of two equal values first."""
        back, values, found = g.temp("back"), g.temp("values"), g.temp("found")
        places, numbers = g.temp("places"), g.temp("numbers")
        k = np.array([self.param.argmax_param.top_k], np.int64)
        g.node("Gather", [rows, g.constant(np.arange(size - 1, -1, -1), "reversed")], [back], axis=axis)
        g.node("TopK", [back, g.constant(k, "k")], [values, found], axis=axis)
        g.node("Sub", [g.constant(np.array(size - 1, np.int64), "last"), found], [places])
        g.node("Cast", [places], [numbers], to=1)  # FLOAT
        return values, numbers
