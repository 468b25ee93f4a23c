"""Log."""

from __future__ import annotations

import math
from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Log(Layer):
    """y = log_base(shift + scale * x); base -1, the default, means e (log_layer.cpp)."""

    examples = (
        Example("", [(2, 3, 4, 5)], values=("positive",)),
        Example("log_param { base: 10 scale: 0.5 shift: 1.5 }", [(2, 3, 4)], values=("positive",)),
    )

    def setup(self, bottom: Shape) -> None:
        base = self.param.log_param.base
        self.need(
            base == -1 or (base > 0 and base != 1),
            "base must be positive and not 1, or -1 for e; received %g",
            base,
        )
        self.factor = 1.0 if base == -1 else 1.0 / math.log(base)

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.log_param
        return self.factor * torch.log(p.scale * x + p.shift)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.log_param
        steps = [("Mul", p.scale), ("Add", p.shift), ("Log", None), ("Mul", self.factor)]
        self.onnx_chain(g, bottoms[0], tops[0], steps)
