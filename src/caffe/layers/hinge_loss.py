"""HingeLoss."""

import math

from caffe.core.lazy_torch import torch
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, register
from caffe.proto import caffe_pb2


@register
class HingeLoss(Layer):
    """One-against-all hinge: sum of max(0, 1 - s x) over N, with s = 1 at the label and -1 elsewhere
    (hinge_loss_layer.cpp).

    `norm: L2` sums the squares. One label an item; all values of an item are its classes.
    """

    num_bottom = 2
    is_loss = auto_top = True
    no_gradient = (1,)
    no_onnx = "it is a loss, for training only"
    examples = (
        Example("", [(4, 5), (4,)], values=("normal", 5)),
        Example("hinge_loss_param { norm: L2 }", [(4, 5), (4,)], values=("normal", 5)),
    )

    def top_shapes(self, data, label):
        _loss.check_same_first(data, label)
        self.need(
            math.prod(label) == data[0],
            "HingeLoss takes one label an item, received labels %s for %s",
            label,
            data,
        )
        return [()]

    def forward(self, x, label):
        rows = x.float().flatten(1)
        index, _ = _loss.class_labels(label.reshape(-1), rows.shape[1])
        sign = torch.ones_like(rows).scatter_(1, index[:, None], -1.0)
        margin = (1 + sign * rows).relu()
        if self.param.hinge_loss_param.norm == caffe_pb2.HingeLossParameter.L2:
            margin = margin * margin
        return margin.sum() / x.shape[0]
