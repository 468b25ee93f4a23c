"""Swish."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Tensor, register


@register
class Swish(Layer):
    """y = x * sigmoid(beta * x) (Ramachandran et al. 2017; swish_layer.cpp)."""

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("swish_param { beta: 1.7 }", [(2, 3)]),
    )

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.param.swish_param.beta * x)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        beta = self.param.swish_param.beta
        name, gate = bottoms[0], g.temp("gate")
        if beta != 1:
            name = g.temp("scaled")
            g.node("Mul", [bottoms[0], g.constant(np.array(beta, np.float32), "beta")], [name])
        g.node("Sigmoid", [name], [gate])
        g.node("Mul", [bottoms[0], gate], tops)
