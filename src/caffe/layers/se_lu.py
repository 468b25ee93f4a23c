"""SeLu."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, Tensor, register


@register
class SeLu(Layer):
    """y = lambda * x if x > 0, otherwise lambda * alpha * (e^x - 1) (Klambauer et al. 2017).

    lambda and alpha are fields of selu_param, by default 1.0507 and 1.6733.
    """

    examples = (Example("", [(2, 3, 4)]), Example("selu_param { lambda: 2 alpha: 0.5 }", [(2, 3, 4)]))

    @property
    def factors(self):
        """(lambda, alpha)."""
        p = self.param.selu_param
        return getattr(p, "lambda"), p.alpha

    def forward(self, x: Tensor) -> Tensor:
        scale, alpha = self.factors
        return scale * F.elu(x, alpha)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        scale, alpha = self.factors
        negative = g.temp("elu")  # not Selu, which the stick's compiler does not have
        g.node("Elu", bottoms, [negative], alpha=alpha)
        g.node("Mul", [negative, g.constant(np.float32(scale), "scale")], tops)
