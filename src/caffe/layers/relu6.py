"""ReLU6."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, Tensor, register


@register
class ReLU6(Layer):
    """y = min(6, x) if x > 0, otherwise negative_slope * x (MobileNet-YOLO, Xilinx)."""

    examples = (Example("", [(2, 3, 4, 5)]), Example("relu6_param { negative_slope: 0.1 }", [(2, 3, 4)]))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.param.relu6_param.negative_slope).clamp(max=6.0)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        slope = self.param.relu6_param.negative_slope
        zero, six = (g.constant(np.array(value, np.float32), name) for value, name in ((0, "zero"), (6, "six")))
        if not slope:
            g.node("Clip", [bottoms[0], zero, six], tops)
            return
        leaky = g.temp("leaky")
        g.node("LeakyRelu", bottoms, [leaky], alpha=slope)
        g.node("Min", [leaky, six], tops)
