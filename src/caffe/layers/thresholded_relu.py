"""ThresholdedReLU."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Tensor, register


@register
class ThresholdedReLU(Layer):
    """y = x if x > alpha, otherwise 0 (Synopsys)."""

    examples = (Example("thresholded_relu_param { alpha: 0.5 }", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > self.param.thresholded_relu_param.alpha, x, torch.zeros_like(x))

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("ThresholdedRelu", bottoms, tops, alpha=self.param.thresholded_relu_param.alpha)
