"""Atan."""

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register


@register
class Atan(Layer):
    """y = arctan(x) (Synopsys)."""

    examples = (Example("", [(2, 3, 4)]),)

    def forward(self, x):
        return torch.atan(x)

    def to_onnx(self, g, bottoms, tops):
        g.node("Atan", bottoms, tops)
