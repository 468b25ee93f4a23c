"""MaskResize: bilinear resizing of masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers import _bilinear
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class MaskResize(Layer):
    """Bilinear samples at i * height / output_height and j * width / output_width (MNC)."""

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
        return [(*bottom[:2], p.output_height, p.output_width)]

    def _weights(self, shape):
        p = self.param.mask_resize_param
        pairs = zip((p.output_height, p.output_width), shape[2:])
        return [
            _bilinear.line_weights(torch.arange(out, dtype=torch.float32) * (size / out), size) for out, size in pairs
        ]

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (weights.to(x) for weights in self._weights(x.shape))
        return rows @ x @ columns.t()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rows, columns = (weights.numpy() for weights in self._weights(g.shape(bottoms[0])))
        across = g.temp("across")
        g.node("MatMul", [bottoms[0], g.constant(np.ascontiguousarray(columns.T)[None, None], "columns")], [across])
        g.node("MatMul", [g.constant(rows[None, None], "rows"), across], tops)
