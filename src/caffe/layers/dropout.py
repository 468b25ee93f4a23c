"""Dropout."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import TRAIN, Example, Layer, Shape, Tensor, register


@register
class Dropout(Layer):
    """In TRAIN, drops values with probability dropout_ratio and scales the rest by 1 / (1 - ratio) (dropout_layer.cpp).

    In TEST, the top is a copy of the bottom (Srivastava et al. 2014).

    Forks: with scale_train: false (SSD, intel/caffe), TRAIN does not scale and TEST multiplies by 1 - ratio.
    sample_weights_test (SegNet) drops values in TEST too, to sample from the distribution of predictions.
    """

    examples = (
        Example("dropout_param { dropout_ratio: 0.4 }", [(2, 3, 4, 5)]),
        Example("dropout_param { dropout_ratio: 0.4 scale_train: false }", [(2, 3, 4, 5)]),
    )

    def setup(self, bottom: Shape) -> None:
        ratio = self.param.dropout_param.dropout_ratio
        self.need(0 <= ratio < 1, "dropout_ratio must be at least 0 and less than 1, received %g", ratio)

    @property
    def keep(self) -> float:
        """The probability of keeping a value."""
        return 1.0 - self.param.dropout_param.dropout_ratio

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.dropout_param
        if self.phase != TRAIN and not p.sample_weights_test:
            return x.view_as(x) if p.scale_train else x * self.keep
        mask = torch.empty_like(x).bernoulli_(self.keep, generator=self.random(x.device))
        return x * (mask.mul_(1.0 / self.keep) if p.scale_train else mask)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.dropout_param
        self.need(not p.sample_weights_test, "sample_weights_test is random; remove it to export the mean prediction")
        self.onnx_chain(g, bottoms[0], tops[0], [("Mul", 1.0 if p.scale_train else self.keep)])
