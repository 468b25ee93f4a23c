"""L2Normalize: items of length 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.layers._emit import one
from caffe.layers.base import Example, Layer, Tensor, register

_EPS = 1e-7


@register
class L2Normalize(Layer):
    """y = x / sqrt(sum x^2 + 1e-7) for each item (C3D)."""

    in_place = False
    examples = (Example("", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(len(x), -1)
        return (rows * (rows.square().sum(1, keepdim=True) + _EPS).rsqrt()).reshape(x.shape)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = g.shape(bottoms[0])
        rows = one(g, "Reshape", [bottoms[0], g.constant([-1, math.prod(shape[1:])], "rows")], "rows")
        total = one(g, "ReduceSum", [one(g, "Mul", [rows, rows], "squares")], "total", axes=[1], keepdims=1)
        length = one(g, "Sqrt", [one(g, "Add", [total, g.constant(np.float32(_EPS), "eps")], "safe")], "length")
        g.node("Reshape", [one(g, "Div", [rows, length], "unit"), g.constant([-1, *shape[1:]], "shape")], tops)
