"""Sigmoid."""

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register


@register
class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)) (sigmoid_layer.cpp)."""

    examples = (Example("", [(2, 3, 4, 5)]),)

    def forward(self, x):
        return torch.sigmoid(x)

    def to_onnx(self, g, bottoms, tops):
        g.node("Sigmoid", bottoms, tops)
