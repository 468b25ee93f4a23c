"""Dropout."""

from caffe.core.lazy_torch import torch
from caffe.layers.base import TRAIN, Example, Layer, register


@register
class Dropout(Layer):
    """In TRAIN each value is dropped with probability dropout_ratio and the rest scaled by 1 / (1 -
    ratio); in TEST a copy.

    (Srivastava et al. 2014; dropout_layer.cpp.) Of forks: with scale_train: false (SSD, intel/caffe) TRAIN does not scale and
    TEST multiplies by 1 - ratio; sample_weights_test (SegNet) drops in TEST as well, for samples of a distribution.
    """

    examples = (
        Example("dropout_param { dropout_ratio: 0.4 }", [(2, 3, 4, 5)]),
        Example("dropout_param { dropout_ratio: 0.4 scale_train: false }", [(2, 3, 4, 5)]),
    )

    def setup(self, bottom):
        ratio = self.param.dropout_param.dropout_ratio
        self.need(0 <= ratio < 1, "dropout_ratio must be at least 0 and less than 1, received %g", ratio)

    @property
    def kept(self):
        """The share of values that are not dropped."""
        return 1.0 - self.param.dropout_param.dropout_ratio

    def forward(self, x):
        p = self.param.dropout_param
        if self.phase != TRAIN and not p.sample_weights_test:
            return x.view_as(x) if p.scale_train else x * self.kept
        mask = torch.empty_like(x).bernoulli_(self.kept, generator=self.random(x.device))
        return x * (mask.mul_(1.0 / self.kept) if p.scale_train else mask)

    def to_onnx(self, g, bottoms, tops):
        p = self.param.dropout_param
        self.need(not p.sample_weights_test, "sample_weights_test draws at random: remove it for the mean prediction")
        self.onnx_chain(g, bottoms[0], tops[0], [("Mul", 1.0 if p.scale_train else self.kept)])
