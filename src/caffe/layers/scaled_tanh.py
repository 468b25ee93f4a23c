"""ScaledTanH."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Tensor, register


@register
class ScaledTanH(Layer):
    """y = alpha tanh(beta x) (Synopsys)."""

    examples = (Example("scaled_tanh_param { alpha: 1.7 beta: 0.6 }", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.scaled_tanh_param
        return p.alpha * torch.tanh(p.beta * x)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.scaled_tanh_param
        self.onnx_chain(g, bottoms[0], tops[0], [("Mul", p.beta), ("Tanh", None), ("Mul", p.alpha)])
