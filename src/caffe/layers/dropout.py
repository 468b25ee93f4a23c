"""Dropout."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import TRAIN, Example, Layer, Shape, Tensor, register


@register
class Dropout(Layer):
    """In TRAIN, drops values with probability dropout_ratio and scales the rest by 1 / (1 - ratio) (dropout_layer.cpp).

    In TEST, the top is a copy of the bottom (Srivastava et al. 2014).
    """

    examples = (Example("dropout_param { dropout_ratio: 0.4 }", [(2, 3, 4, 5)]),)

    def setup(self, bottom: Shape) -> None:
        ratio = self.param.dropout_param.dropout_ratio
        self.need(0 <= ratio < 1, "dropout_ratio must be at least 0 and less than 1, received %g", ratio)

    def forward(self, x: Tensor) -> Tensor:
        if self.phase != TRAIN:
            return x.view_as(x)
        keep = 1.0 - self.param.dropout_param.dropout_ratio
        mask = torch.empty_like(x).bernoulli_(keep, generator=self.random(x.device)).mul_(1.0 / keep)
        return x * mask

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Identity", bottoms, tops)
