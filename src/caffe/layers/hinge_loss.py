"""HingeLoss."""

from __future__ import annotations

import math

from caffe.core.lazy_torch import torch
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2


@register
class HingeLoss(Layer):
    """One-vs-all hinge loss: sum of max(0, 1 - s x) / N, with s = 1 for the label, otherwise -1 (hinge_loss_layer.cpp).

    `norm: L2` sums the squares. There is one label per item; all values of an item are its class scores.
    """

    num_bottom = 2
    is_loss = auto_top = True
    no_gradient = (1,)
    no_onnx = "it is a loss, for training only"
    examples = (
        Example("", [(4, 5), (4,)], values=("normal", 5)),
        Example("hinge_loss_param { norm: L2 }", [(4, 5), (4,)], values=("normal", 5)),
    )

    def top_shapes(self, data: Shape, label: Shape) -> list[Shape]:
        _loss.check_same_first(data, label)
        self.need(
            math.prod(label) == data[0],
            "HingeLoss takes one label per item, received labels %s for %s",
            label,
            data,
        )
        return [()]

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        rows = x.float().flatten(1)
        index, _ = _loss.class_labels(label.reshape(-1), rows.shape[1])
        sign = torch.ones_like(rows).scatter_(1, index[:, None], -1.0)
        margin = (1 + sign * rows).relu()
        if self.param.hinge_loss_param.norm == caffe_pb2.HingeLossParameter.L2:
            margin = margin * margin
        return margin.sum() / x.shape[0]
