"""TanH."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Tensor, register


@register
class TanH(Layer):
    """y = tanh(x) (tanh_layer.cpp)."""

    examples = (Example("", [(2, 3, 4, 5)]),)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Tanh", bottoms, tops)
