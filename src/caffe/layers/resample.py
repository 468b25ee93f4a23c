"""Resample: resizing with FlowNet2's filters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2

_TYPES = caffe_pb2.ResampleParameter.ResampleType
NEAREST, LINEAR, CUBIC = (_TYPES.Value(name) for name in ("NEAREST", "LINEAR", "CUBIC"))


@register
class Resample(Layer):
    """Resizes to height x width, or to the size of a second bottom, by a filter (FlowNet2).

    LINEAR (default) and CUBIC weigh the pixels around i * f + g / 2 - 0.5, where f is the ratio of the sizes of bottom
    and top along the axis, and g, as in FlowNet2, that along the other axis. With antialias (default), a reduction
    widens the filter by f. The weights sum to 1. NEAREST takes the rounded position. There is no gradient.
    """

    num_bottom = (1, 2)
    no_gradient = (1,)
    differentiable = False
    examples = (
        Example("resample_param { height: 7 width: 9 }", [(2, 3, 4, 5)]),
        Example("resample_param { height: 3 width: 3 type: CUBIC }", [(1, 2, 6, 7)]),
        Example("resample_param { type: NEAREST }", [(1, 2, 3, 4), (1, 5, 6, 7)]),
    )

    def setup(self, bottom: Shape, like: Shape | None = None) -> None:
        self.kind = self.param.resample_param.type
        self.need(self.kind in (NEAREST, LINEAR, CUBIC), "type must be NEAREST, LINEAR or CUBIC")
        self.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)
        self.need(like is None or len(like) == 4, "the second bottom must have 4 axes, received %s", like)

    def top_shapes(self, bottom: Shape, like: Shape | None = None) -> list[Shape]:
        p = self.param.resample_param
        size = (p.height, p.width) if like is None else like[2:]
        self.need(min(size) > 0, "expected height and width, or a second bottom")
        return [(*bottom[:2], *size)]

    def _weights(self, shape, out):
        """Return the matrices (out x size) of the rows and of the columns."""
        ratios = [np.float32(size) / np.float32(new) for size, new in zip(shape[2:], out[2:])]
        return [
            self._matrix(size, new, ratio, other)
            for size, new, ratio, other in zip(shape[2:], out[2:], ratios, reversed(ratios))
        ]

    def _matrix(self, size, new, ratio, other):
        places = np.arange(new, dtype=np.float32) * ratio + other / np.float32(2) - np.float32(0.5)
        middles = np.sign(places) * np.floor(np.abs(places) + 0.5)
        numbers = np.arange(size)
        if self.kind == NEAREST:
            return (np.clip(middles, 0, size - 1)[:, None] == numbers).astype(np.float32)
        kernel = _cubic if self.kind == CUBIC else _triangle
        narrow = 1 / ratio if self._antialias else 1.0
        reach = 2 if ratio < 1 else math.ceil((4 if self.kind == CUBIC else 2) / narrow)
        weights = kernel(narrow * (places[:, None] - numbers)) * (np.abs(numbers - middles[:, None]) <= reach)
        total = weights.sum(1, keepdims=True)
        return np.divide(weights, total, out=np.zeros_like(weights), where=total != 0).astype(np.float32)

    _antialias = False

    def forward(self, x: Tensor, like: Tensor | None = None) -> Tensor:
        out = self.top_shapes(tuple(x.shape), None if like is None else tuple(like.shape))[0]
        rows, columns = (torch.from_numpy(weights).to(x) for weights in self._filters(x.shape, out))
        return rows @ x @ columns.t()

    def _filters(self, shape, out):
        reduced = any(size > new for size, new in zip(shape[2:], out[2:]))
        self._antialias = reduced and self.param.resample_param.antialias
        return self._weights(shape, out)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rows, columns = self._filters(g.shape(bottoms[0]), g.shape(tops[0]))
        across = g.temp("across")
        g.node("MatMul", [bottoms[0], g.constant(np.ascontiguousarray(columns.T)[None, None], "columns")], [across])
        g.node("MatMul", [g.constant(rows[None, None], "rows"), across], tops)


def _triangle(x):
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x):
    x = np.abs(x)
    near, far = x * x * (1.5 * x - 2.5) + 1, x * (x * (-0.5 * x + 2.5) - 4) + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))
