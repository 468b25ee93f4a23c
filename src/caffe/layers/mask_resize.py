"""MaskResize: bilinear resizing of masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class MaskResize(Layer):
    """Bilinear samples at i * height / output_height and j * width / output_width (MNC).

    With factor_height and factor_width, the sizes are int(factor * size of the bottom) instead (SSTD).
    """

    in_place = False
    examples = (
        Example("mask_resize_param { output_height: 3 output_width: 5 }", [(2, 1, 4, 4)]),
        Example("mask_resize_param { output_height: 7 output_width: 6 }", [(1, 2, 4, 5)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.mask_resize_param
        self.need(p.output_height > 0 and p.output_width > 0, "output_height and output_width must be positive")
        self.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        p = self.param.mask_resize_param
        factors = (p.factor_height, p.output_height), (p.factor_width, p.output_width)
        sizes = [int(np.float32(size) * np.float32(f)) if f > 0 else out for size, (f, out) in zip(bottom[2:], factors)]
        self.need(min(sizes) > 0, "the bottom %s is too small for factor_height and factor_width", bottom)
        return [(*bottom[:2], *sizes)]

    def _weights(self, shape):
        return [_line_weights(out, size) for out, size in zip(self.top_shapes(tuple(shape))[0][2:], shape[2:])]

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (torch.from_numpy(weights).to(x) for weights in self._weights(x.shape))
        return rows @ x @ columns.t()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rows, columns = self._weights(g.shape(bottoms[0]))
        across = g.temp("across")
        g.node("MatMul", [bottoms[0], g.constant(np.ascontiguousarray(columns.T)[None, None], "columns")], [across])
        g.node("MatMul", [g.constant(rows[None, None], "rows"), across], tops)


def _line_weights(out, size):
    """Return the weights (out, size) of the values of a line; a position far beyond the last value has none."""
    positions = np.arange(out, dtype=np.float32) * np.float32(size / out)
    distance = np.abs(np.minimum(positions, size - 1)[:, None] - np.arange(size, dtype=np.float32))
    return np.maximum(1 - distance, 0) * (positions <= size - 0.5)[:, None].astype(np.float32)
