"""Truncation."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers.base import Example, Layer, Tensor, register


@register
class Truncation(Layer):
    """y = x, limited to lower_bound .. upper_bound (caffe-windows)."""

    examples = (Example("truncation_param { lower_bound: -0.5 upper_bound: 1 }", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.truncation_param
        return x.clamp(p.lower_bound, p.upper_bound)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.truncation_param
        limits = [
            g.constant(np.float32(limit), name) for limit, name in ((p.lower_bound, "least"), (p.upper_bound, "most"))
        ]
        g.node("Clip", [bottoms[0], *limits], tops)
