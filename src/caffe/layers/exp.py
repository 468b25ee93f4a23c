"""Exp."""

from __future__ import annotations

import math
from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Exp(Layer):
    """y = base ^ (shift + scale * x); base -1, the default, means e (exp_layer.cpp)."""

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("exp_param { base: 2 scale: 0.5 shift: -1 }", [(2, 3, 4)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.exp_param
        self.need(p.base == -1 or p.base > 0, "base must be positive, or -1 for e; received %g", p.base)
        log_base = 1.0 if p.base == -1 else math.log(p.base)
        self.inner = log_base * p.scale
        self.outer = math.exp(log_base * p.shift)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer * torch.exp(self.inner * x)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        self.onnx_chain(g, bottoms[0], tops[0], [("Mul", self.inner), ("Exp", None), ("Mul", self.outer)])
