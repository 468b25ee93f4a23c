"""MultinomialLogisticLoss."""

from __future__ import annotations

import math

from caffe.core.lazy_torch import Function
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class MultinomialLogisticLoss(Layer):
    """The mean of -log(max(p[label], 1e-20)) for probabilities p (multinomial_logistic_loss_layer.cpp).

    There is one label per item; all values of an item are its class probabilities. If p is a softmax, SoftmaxWithLoss
    is numerically more stable.
    """

    num_bottom = 2
    is_loss = auto_top = True
    no_gradient = (1,)
    no_onnx = "it is a loss, for training only"
    examples = (Example("", [(4, 5), (4,)], values=("positive", 5)),)

    def top_shapes(self, data: Shape, label: Shape) -> list[Shape]:
        _loss.check_same_first(data, label)
        self.need(
            math.prod(label) == data[0],
            "MultinomialLogisticLoss takes one label per item, received labels %s for %s",
            label,
            data,
        )
        return [()]

    def forward(self, p: Tensor, label: Tensor) -> Tensor:
        rows = p.float().flatten(1)
        index, _ = _loss.class_labels(label.reshape(-1), rows.shape[1])
        return -_FloorLog.apply(rows.gather(1, index[:, None])).sum() / p.shape[0]


class _FloorLog(Function):
    """log(max(p, 1e-20)), whose gradient is 1 / max(p, 1e-20) even below the floor."""

    @staticmethod
    def forward(ctx, p):
        p = p.clamp(min=_loss.LOG_THRESHOLD)
        ctx.save_for_backward(p)
        return p.log()

    @staticmethod
    def backward(ctx, grad):
        return grad / ctx.saved_tensors[0]
