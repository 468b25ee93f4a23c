"""Dropout."""

from caffe.core.lazy_torch import torch
from caffe.layers.base import TRAIN, Example, Layer, register


@register
class Dropout(Layer):
    """In TRAIN each value is dropped with probability dropout_ratio and the rest scaled by 1 / (1 -
    ratio); in TEST a copy.

    (Srivastava et al. 2014; dropout_layer.cpp.)
    """

    examples = (Example("dropout_param { dropout_ratio: 0.4 }", [(2, 3, 4, 5)]),)

    def setup(self, bottom):
        ratio = self.param.dropout_param.dropout_ratio
        self.need(0 <= ratio < 1, "dropout_ratio must be at least 0 and less than 1, received %g", ratio)

    def forward(self, x):
        if self.phase != TRAIN:
            return x.view_as(x)
        keep = 1.0 - self.param.dropout_param.dropout_ratio
        mask = torch.empty_like(x).bernoulli_(keep, generator=self.random(x.device)).mul_(1.0 / keep)
        return x * mask

    def to_onnx(self, g, bottoms, tops):
        g.node("Identity", bottoms, tops)
