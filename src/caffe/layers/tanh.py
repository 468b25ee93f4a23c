"""TanH."""

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register


@register
class TanH(Layer):
    """y = tanh(x) (tanh_layer.cpp)."""

    examples = (Example("", [(2, 3, 4, 5)]),)

    def forward(self, x):
        return torch.tanh(x)

    def to_onnx(self, g, bottoms, tops):
        g.node("Tanh", bottoms, tops)
