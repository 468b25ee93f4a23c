"""ReLU, plain and leaky."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, Tensor, register


@register
class ReLU(Layer):
    """y = x if x > 0, otherwise negative_slope * x (relu_layer.cpp). The gradient at 0 is negative_slope."""

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("relu_param { negative_slope: 0.1 }", [(2, 3, 4, 5)]),
        Example("relu_param { negative_slope: -1.5 }", [(2, 3, 4, 5)]),
    )

    def forward(self, x: Tensor) -> Tensor:
        slope = self.param.relu_param.negative_slope
        return F.leaky_relu(x, slope) if slope else F.relu(x)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        slope = self.param.relu_param.negative_slope
        if slope and not 0 < slope < 1:  # OpenVINO 2021.4 reads a LeakyRelu of 0 to 1 only
            channels = g.shape(bottoms[0])[1:2] or (1,)
            slopes = np.full((*channels, *[1] * (len(g.shape(bottoms[0])) - 2)), slope, np.float32)
            g.node("PRelu", [*bottoms, g.constant(slopes, "slopes")], tops)
        elif slope:
            g.node("LeakyRelu", bottoms, tops, alpha=slope)
        else:
            g.node("Relu", bottoms, tops)
