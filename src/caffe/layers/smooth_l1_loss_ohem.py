"""SmoothL1LossOHEM: SmoothL1Loss that also outputs the loss of each position."""

from __future__ import annotations

import math

from caffe.core.lazy_torch import torch
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class SmoothL1LossOHEM(Layer):
    """Smooth L1 loss of a - b, and as second top the loss of each position, N x 1 x H x W (R-FCN).

    Bottoms: a, b and optionally the weights w. With d = w * (a - b), the loss is the sum of 0.5 d^2 if |d| < 1,
    otherwise |d| - 0.5, divided by the normalizer of loss_param (default: the number of positions) (Shrivastava et al.
    2016).
    """

    num_bottom = (2, 3)
    num_top = (1, 2)
    is_loss = auto_top = True
    no_gradient = (2,)
    no_onnx = "it is a loss, for training only"
    examples = (
        Example("", [(4, 5)] * 2),
        Example("loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 8 }", [(4, 5, 2, 2)] * 3, tops=2),
    )

    def top_shapes(self, first: Shape, *others: Shape) -> list[Shape]:
        for other in others:
            self.need(other == first, "all bottoms must have the same shape, received %s and %s", first, other)
        return [(), (first[0], 1, *(first[2:] or (1, 1)))][: self.top_count]

    def forward(self, a: Tensor, b: Tensor, weight: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        d = a - b if weight is None else weight * (a - b)
        size = d.abs()
        values = torch.where(size < 1, 0.5 * d * d, size - 0.5)
        inner, p = math.prod(a.shape[2:]), self.param.loss_param
        mode = _loss.normalization(p, _loss.LossParameter.VALID)
        divisor = _loss.normalizer(mode, a.shape[0], inner, a.shape[0] * inner, p.pre_fixed_normalizer)
        each = values.detach().sum(1, keepdim=True).reshape(a.shape[0], 1, *(a.shape[2:] or (1, 1)))
        return (values.sum() / divisor, each)[: self.top_count]
