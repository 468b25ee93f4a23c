"""ReLU, plain and leaky."""

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, register


@register
class ReLU(Layer):
    """y = x where x > 0, else negative_slope * x (relu_layer.cpp). The derivative at 0 is negative_slope's."""

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("relu_param { negative_slope: 0.1 }", [(2, 3, 4, 5)]),
    )

    def forward(self, x):
        slope = self.param.relu_param.negative_slope
        return F.leaky_relu(x, slope) if slope else F.relu(x)

    def to_onnx(self, g, bottoms, tops):
        slope = self.param.relu_param.negative_slope
        if slope:
            g.node("LeakyRelu", bottoms, tops, alpha=slope)
        else:
            g.node("Relu", bottoms, tops)
