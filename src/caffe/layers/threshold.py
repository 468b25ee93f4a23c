"""Threshold."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers.base import Example, Layer, Tensor, register


@register
class Threshold(Layer):
    """y = 1 if x > threshold, otherwise 0 (threshold_layer.cpp). It has no gradient."""

    differentiable = False
    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("threshold_param { threshold: 0.3 }", [(2, 3)]),
    )

    def forward(self, x: Tensor) -> Tensor:
        return (x > self.param.threshold_param.threshold).to(x.dtype)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        above = g.temp("above")
        limit = g.constant(np.array(self.param.threshold_param.threshold, np.float32), "threshold")
        g.node("Greater", [bottoms[0], limit], [above])
        g.node("Cast", [above], tops, to=1)  # FLOAT
