"""ReLU, plain and leaky."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, Tensor, register


@register
class ReLU(Layer):
    """y = x if x > 0, otherwise negative_slope * x (relu_layer.cpp). The gradient at 0 is negative_slope.

    Synopsys' Caffe limits y: to at most 6 with relu6, to at most `maximum` if it is positive, and to at least
    `minimum` if it is not 0.
    """

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("relu_param { negative_slope: 0.1 }", [(2, 3, 4, 5)]),
        Example("relu_param { negative_slope: -1.5 }", [(2, 3, 4, 5)]),
        Example("relu_param { relu6: true }", [(2, 3, 4, 5)]),
        Example("relu_param { negative_slope: 1 maximum: 0.5 minimum: -0.5 }", [(2, 3, 4, 5)]),
    )

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """The smallest and the largest value of y, or None."""
        p = self.param.relu_param
        largest = [6.0] * p.relu6 + [p.maximum] * (p.maximum > 0)
        return (p.minimum or None, min(largest) if largest else None)

    def forward(self, x: Tensor) -> Tensor:
        slope = self.param.relu_param.negative_slope
        y = F.leaky_relu(x, slope) if slope else F.relu(x)
        smallest, largest = self.limits
        y = y if largest is None else y.clamp(max=largest)
        return y if smallest is None else y.clamp(min=smallest)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        slope = self.param.relu_param.negative_slope
        smallest, largest = self.limits
        steps = [("Min", largest)] * (largest is not None) + [("Max", smallest)] * (smallest is not None)
        y = g.temp("y") if steps else tops[0]
        if slope and not 0 < slope < 1:  # OpenVINO 2021.4 reads a LeakyRelu of 0 to 1 only
            channels = g.shape(bottoms[0])[1:2] or (1,)
            slopes = np.full((*channels, *[1] * (len(g.shape(bottoms[0])) - 2)), slope, np.float32)
            g.node("PRelu", [*bottoms, g.constant(slopes, "slopes")], [y])
        elif slope:
            g.node("LeakyRelu", bottoms, [y], alpha=slope)
        elif largest is not None:  # a single node, which runtimes and the stick's compiler know as ReLU6
            y = tops[0] if len(steps) == 1 else y
            limits = [g.constant(np.array(v, np.float32), n) for v, n in ((0, "zero"), (largest, "largest"))]
            g.node("Clip", [*bottoms, *limits], [y])
            steps = steps[1:]
        else:
            g.node("Relu", bottoms, [y])
        if steps:
            self.onnx_chain(g, y, tops[0], steps)
