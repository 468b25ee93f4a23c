"""SmoothL1LossOHEM: SmoothL1Loss that tells each item's loss."""

import math

from caffe.core.lazy_torch import torch
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, register


@register
class SmoothL1LossOHEM(Layer):
    """The sum over d = w * (a - b) of 0.5 d^2 where |d| < 1, else |d| - 0.5, over the normalizer (all places unless
    loss_param says otherwise); a second top has each place's sum over the channels, N x 1 x H x W (Shrivastava et al.
    2016; R-FCN). Bottoms: a, b and perhaps the weights w.
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

    def top_shapes(self, first, *others):
        for other in others:
            self.need(other == first, "all bottoms must have one shape: %s, %s", first, other)
        return [(), (first[0], 1, *(first[2:] or (1, 1)))][: self.top_count]

    def forward(self, a, b, weight=None):
        d = a - b if weight is None else weight * (a - b)
        size = d.abs()
        values = torch.where(size < 1, 0.5 * d * d, size - 0.5)
        inner, p = math.prod(a.shape[2:]), self.param.loss_param
        mode = _loss.normalization(p, _loss.LossParameter.VALID)
        divisor = _loss.normalizer(mode, a.shape[0], inner, a.shape[0] * inner, p.pre_fixed_normalizer)
        each = values.detach().sum(1, keepdim=True).reshape(a.shape[0], 1, *(a.shape[2:] or (1, 1)))
        return (values.sum() / divisor, each)[: self.top_count]
