"""Clip."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Clip(Layer):
    """y = max(min, min(x, max)); the gradient is 1 in `min` .. `max` (inclusive), otherwise 0 (clip_layer.cpp)."""

    examples = (
        Example("clip_param { min: -0.5 max: 0.8 }", [(2, 3, 4, 5)]),
        Example("clip_param { min: 0 max: 6 }", [(2, 3)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.clip_param
        self.need(p.HasField("min") and p.HasField("max"), "clip_param needs both min and max")

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.clip_param
        return x.clamp(max=p.max).clamp(min=p.min)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.clip_param
        low, high = (g.constant(np.array(v, np.float32), n) for v, n in ((p.min, "min"), (p.max, "max")))
        if p.min <= p.max:
            g.node("Clip", [*bottoms, low, high], tops)
        else:  # ONNX does not define min > max; Caffe's result is `min`
            below = g.temp("below")
            g.node("Min", [*bottoms, high], [below])
            g.node("Max", [below, low], tops)
