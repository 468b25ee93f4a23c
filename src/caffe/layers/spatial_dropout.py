"""SpatialDropout: drops whole channels."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import TRAIN, Example, Layer, Shape, Tensor, register


@register
class SpatialDropout(Layer):
    """In TRAIN, drops channels with probability dropout_ratio and scales the rest by 1 / (1 - ratio) (intel/caffe).

    In TEST, the top is a copy of the bottom (Tompson et al. 2015).
    """

    examples = (Example("spatial_dropout_param { dropout_ratio: 0.4 }", [(2, 3, 4, 5)]),)

    def setup(self, bottom: Shape) -> None:
        ratio = self.param.spatial_dropout_param.dropout_ratio
        self.need(0 <= ratio < 1, "dropout_ratio must be at least 0 and less than 1, received %g", ratio)
        self.need(len(bottom) > 1, "the bottom must have channels, received %s", bottom)

    def forward(self, x: Tensor) -> Tensor:
        if self.phase != TRAIN:
            return x.view_as(x)
        keep = 1.0 - self.param.spatial_dropout_param.dropout_ratio
        mask = torch.empty(x.shape[:2], dtype=x.dtype, device=x.device)
        mask.bernoulli_(keep, generator=self.random(x.device))
        return x * (mask / keep).reshape(*x.shape[:2], *[1] * (x.dim() - 2))

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Identity", bottoms, tops)
