"""SigmoidCrossEntropyLoss."""

from __future__ import annotations

import math

from caffe.core.lazy_torch import F
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class SigmoidCrossEntropyLoss(Layer):
    """Normalized binary cross entropy of sigmoid(x) and targets t (sigmoid_cross_entropy_loss_layer.cpp).

    With s = sigmoid(x), the loss is the sum of -(t log s + (1 - t) log(1 - s)), normalized. The default of
    `loss_param.normalization` is BATCH_SIZE (the older `normalize: true` means VALID); targets equal to `ignore_label`
    are ignored.
    """

    num_bottom = 2
    is_loss = auto_top = True
    no_gradient = (1,)
    deploys_as = "Sigmoid"
    no_onnx = "it is a loss, for training only; the deploy net has a Sigmoid"
    examples = (
        Example("", [(4, 5), (4, 5)], values=("normal", "unit")),
        Example(
            "loss_param { ignore_label: 1 normalization: VALID }",
            [(4, 5), (4, 5)],
            values=("normal", "binary"),
        ),
    )

    def top_shapes(self, data: Shape, target: Shape) -> list[Shape]:
        _loss.check_same_first(data, target)
        self.need(
            math.prod(data) == math.prod(target),
            "both bottoms must have the same number of values, received %s and %s",
            data,
            target,
        )
        return [()]

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        p, x = self.param.loss_param, x.float()
        target = target.detach().reshape(x.shape)
        loss = F.binary_cross_entropy_with_logits(x, target, reduction="none")
        valid = x.numel()
        if p.HasField("ignore_label"):
            counted = target.long() != p.ignore_label
            loss, valid = loss * counted, int(counted.sum())
        mode = _loss.normalization(p, _loss.LossParameter.BATCH_SIZE)
        return loss.sum() / _loss.normalizer(
            mode, x.shape[0], math.prod(x.shape[1:]), valid, self.param.loss_param.pre_fixed_normalizer
        )
