"""ELU: the exponential linear unit."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Tensor, register


@register
class ELU(Layer):
    """y = x if x > 0, otherwise alpha * (exp(x) - 1) (Clevert et al. 2015; elu_layer.cpp)."""

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("elu_param { alpha: 0.3 }", [(2, 3, 4, 5)]),
    )

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.param.elu_param.alpha
        # Not torch's elu: its gradient at 0 is 1, Caffe's is alpha; and Caffe accepts any alpha.
        return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Elu", bottoms, tops, alpha=self.param.elu_param.alpha)
