"""MultinomialLogisticLoss."""

import math

from caffe.core.lazy_torch import Function
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, register


@register
class MultinomialLogisticLoss(Layer):
    """The mean of -log(p[label]) for probabilities p, taken as 1e-20 where smaller
    (multinomial_logistic_loss_layer.cpp).

    One label an item; all values of an item are its classes. Where a softmax makes p, SoftmaxWithLoss is
    steadier.
    """

    num_bottom = 2
    is_loss = auto_top = True
    no_gradient = (1,)
    no_onnx = "it is a loss, for training only"
    examples = (Example("", [(4, 5), (4,)], values=("positive", 5)),)

    def top_shapes(self, data, label):
        _loss.check_same_first(data, label)
        self.need(
            math.prod(label) == data[0],
            "MultinomialLogisticLoss takes one label an item, received labels %s for %s",
            label,
            data,
        )
        return [()]

    def forward(self, p, label):
        rows = p.float().flatten(1)
        index, _ = _loss.class_labels(label.reshape(-1), rows.shape[1])
        return -_FloorLog.apply(rows.gather(1, index[:, None])).sum() / p.shape[0]


class _FloorLog(Function):
    """log(max(p, 1e-20)), whose derivative is 1 / max(p, 1e-20) below the floor too."""

    @staticmethod
    def forward(ctx, p):
        p = p.clamp(min=_loss.LOG_THRESHOLD)
        ctx.save_for_backward(p)
        return p.log()

    @staticmethod
    def backward(ctx, grad):
        return grad / ctx.saved_tensors[0]
