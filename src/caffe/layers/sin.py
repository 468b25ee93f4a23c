"""Sin."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Tensor, register


@register
class Sin(Layer):
    """y = sin(x) (Synopsys)."""

    examples = (Example("", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Sin", bottoms, tops)
