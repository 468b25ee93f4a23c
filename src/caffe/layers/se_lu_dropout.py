"""SeLuDropout: dropout for self-normalizing nets."""

from __future__ import annotations

import math
from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import TRAIN, Example, Layer, Shape, Tensor, register

_SATURATED = -1.0507009873554805 * 1.6732632423543772  # SELU of minus infinity


@register
class SeLuDropout(Layer):
    """Alpha dropout in TRAIN: values are set to SELU's lower limit at random, with the mean and variance restored.

    With q = 1 - dropout_ratio, the top is a * x + b, a = (q + alpha^2 q (1 - q))^-1/2, b = -a (1 - q) alpha; alpha is
    the lower limit, -1.7581. In TEST it is a copy (Klambauer et al. 2017).
    """

    examples = (Example("selu_dropout_param { dropout_ratio: 0.1 }", [(2, 3)]),)

    def setup(self, bottom: Shape) -> None:
        ratio = self.param.selu_dropout_param.dropout_ratio
        self.need(0 < ratio < 1, "dropout_ratio must be in 0 .. 1, received %g", ratio)

    def forward(self, x: Tensor) -> Tensor:
        if self.phase != TRAIN:
            return x.clone()
        q = 1 - self.param.selu_dropout_param.dropout_ratio
        kept = torch.empty_like(x).bernoulli_(q, generator=self.random(x.device)).bool()
        factor = 1 / math.sqrt(q + _SATURATED**2 * q * (1 - q))
        return factor * torch.where(kept, x, _SATURATED) - factor * (1 - q) * _SATURATED

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Identity", bottoms, tops)
