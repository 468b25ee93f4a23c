"""Insanity: randomized leaky ReLU."""

from __future__ import annotations

import math
from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import TRAIN, Example, Layer, Shape, Tensor, register


@register
class Insanity(Layer):
    """y = x if x > 0, otherwise x / a, with a random a (caffe-windows; RReLU of Xu et al. 2015).

    In TRAIN, a is drawn for each value from lb .. ub; in TEST it is (ub - lb) / (log ub - log lb).
    """

    examples = (Example("", [(2, 3, 4)]), Example("insanity_param { lb: 2 ub: 2 }", [(2, 3)]))

    def setup(self, bottom: Shape) -> None:
        p = self.param.insanity_param
        self.need(0 < p.lb <= p.ub, "insanity_param needs 0 < lb <= ub, received %g and %g", p.lb, p.ub)
        self.mean = p.lb if p.lb == p.ub else (p.ub - p.lb) / (math.log(p.ub) - math.log(p.lb))

    def forward(self, x: Tensor) -> Tensor:
        p, divisor = self.param.insanity_param, self.mean
        if self.phase == TRAIN:
            divisor = torch.empty_like(x).uniform_(p.lb, p.ub, generator=self.random(x.device))
        return torch.where(x > 0, x, x / divisor)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("LeakyRelu", bottoms, tops, alpha=1 / self.mean)
