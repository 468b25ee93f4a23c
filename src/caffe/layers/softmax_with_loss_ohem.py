"""SoftmaxWithLossOHEM: SoftmaxWithLoss that also outputs the loss of each label."""

from __future__ import annotations

from caffe.core.lazy_torch import torch
from caffe.layers import _loss
from caffe.layers.base import Example, Shape, Tensor, register
from caffe.layers.softmax_with_loss import SoftmaxWithLoss


@register
class SoftmaxWithLossOHEM(SoftmaxWithLoss):
    """SoftmaxWithLoss with a third top: the loss of each label, 0 for an ignored one (R-FCN).

    Source: Shrivastava et al. 2016.
    """

    num_top = (1, 3)
    no_onnx = "it is a loss, for training only; the deploy net has a Softmax"
    examples = (
        Example("", [(4, 5), (4,)], values=("normal", 5)),
        Example("loss_param { ignore_label: 2 }", [(2, 5, 3, 4), (2, 1, 3, 4)], values=("normal", 5), tops=3),
    )

    def top_shapes(self, data: Shape, label: Shape) -> list[Shape]:
        count, self._labels = self.top_count, label
        shapes = super().top_shapes(data, label)
        return [*shapes, label][:count] if count > 2 else shapes

    def forward(self, x: Tensor, label: Tensor) -> Tensor | tuple[Tensor, ...]:
        tops = super().forward(x, label)
        if self.top_count < 3:
            return tops
        outer, classes, inner = _loss.split(x.shape, self.along)
        index, valid = _loss.class_labels(label.reshape(outer, 1, inner), classes, _loss.ignored(self.param.loss_param))
        likely = torch.softmax(x.detach().reshape(outer, classes, inner), 1).gather(1, index).clamp(min=_loss.FLT_MIN)
        each = torch.where(valid, -likely.log(), 0.0).reshape(label.shape)
        return (*tops, each)
