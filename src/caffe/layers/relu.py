"""ReLU, plain and leaky."""

import numpy as np

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, register


@register
class ReLU(Layer):
    """y = x where x > 0, else negative_slope * x (relu_layer.cpp). The derivative at 0 is negative_slope's.

    Synopsys' Caffe limits y: to 6 with relu6, to `maximum` where that is positive, from `minimum` on where that is not 0.
    """

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("relu_param { negative_slope: 0.1 }", [(2, 3, 4, 5)]),
        Example("relu_param { relu6: true }", [(2, 3, 4, 5)]),
        Example("relu_param { negative_slope: 1 maximum: 0.5 minimum: -0.5 }", [(2, 3, 4, 5)]),
    )

    @property
    def limits(self):
        """(least, greatest) value of y by the fork's fields, None for none."""
        p = self.param.relu_param
        greatest = [6.0] * p.relu6 + [p.maximum] * (p.maximum > 0)
        return (p.minimum or None, min(greatest) if greatest else None)

    def forward(self, x):
        slope = self.param.relu_param.negative_slope
        y = F.leaky_relu(x, slope) if slope else F.relu(x)
        least, greatest = self.limits
        y = y if greatest is None else y.clamp(max=greatest)
        return y if least is None else y.clamp(min=least)

    def to_onnx(self, g, bottoms, tops):
        slope = self.param.relu_param.negative_slope
        least, greatest = self.limits
        steps = [("Min", greatest)] * (greatest is not None) + [("Max", least)] * (least is not None)
        y = g.temp("y") if steps else tops[0]
        if slope:
            g.node("LeakyRelu", bottoms, [y], alpha=slope)
        elif steps[:1] == [("Min", greatest)]:  # one node: what runtimes and the stick's compiler know as ReLU6
            y = tops[0] if len(steps) == 1 else y
            limits = [g.constant(np.array(v, np.float32), n) for v, n in ((0, "zero"), (greatest, "greatest"))]
            g.node("Clip", [*bottoms, *limits], [y])
            steps = steps[1:]
        else:
            g.node("Relu", bottoms, [y])
        if steps:
            self.onnx_chain(g, y, tops[0], steps)
