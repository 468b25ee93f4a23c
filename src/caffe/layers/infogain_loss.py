"""InfogainLoss."""

from __future__ import annotations

import math
from typing import Any

from caffe.core.lazy_torch import Function, torch
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class InfogainLoss(Layer):
    """Cross entropy weighted by a matrix H: sum of -H[label, l] log(softmax(x)[l]) / divisor (infogain_loss_layer.cpp).

    H, classes x classes, is the third bottom or the .binaryproto `infogain_loss_param.source`; with the identity the
    loss equals SoftmaxWithLoss. `infogain_loss_param.axis` is the class axis; `loss_param` sets ignore_label and
    normalization (default VALID). A second top holds the softmax. In the loss, probabilities are at least 1e-20.
    """

    num_bottom = (2, 3)
    num_top = (1, 2)
    is_loss = auto_top = True
    no_gradient = (1, 2)
    no_onnx = "it is a loss, for training only; the deploy net has a Softmax"
    examples = (
        Example("", [(4, 5), (4,), (1, 1, 5, 5)], values=("normal", 5, "positive")),
        Example(
            "infogain_loss_param { axis: 2 } loss_param { ignore_label: 1 }",
            [(2, 3, 5), (2, 3), (5, 5)],
            values=("normal", 5, "positive"),
            tops=2,
        ),
    )

    def setup(self, data: Shape, label: Shape, matrix: Shape | None = None) -> None:
        self.need(
            not self.param.loss_param.HasField("normalize"),
            "InfogainLoss does not support loss_param.normalize; use `normalization`",
        )
        self.matrix: Any = None
        if matrix is None:
            p = self.param.infogain_loss_param
            self.need(
                p.HasField("source"),
                "the matrix is missing: set infogain_loss_param.source or add a third bottom",
            )
            from caffe.weights import snapshot

            self.matrix = torch.from_numpy(snapshot.read_blob(p.source).copy()).to(self.device)

    def top_shapes(self, data: Shape, label: Shape, matrix: Shape | None = None) -> list[Shape]:
        _loss.check_same_first(data, label)
        self.along = self.axis(self.param.infogain_loss_param.axis, data)
        _loss.check_label_count(data, label, self.along)
        classes, shape = data[self.along], tuple(self.matrix.shape) if matrix is None else matrix
        self.need(
            math.prod(shape) == classes * classes,
            "the infogain matrix must be %d x %d, received %s",
            classes,
            classes,
            shape,
        )
        return [(), data][: self.top_count]

    def forward(self, x: Tensor, label: Tensor, matrix: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        matrix = self.matrix if matrix is None else matrix.detach()
        self.top_shapes(tuple(x.shape), tuple(label.shape), tuple(matrix.shape))
        p = self.param.loss_param
        outer, classes, inner = _loss.split(x.shape, self.along)
        index, valid = _loss.class_labels(label.reshape(outer, inner), classes, _loss.ignored(p))
        divisor = _loss.normalizer(p.normalization, outer, inner, int(valid.sum()), p.pre_fixed_normalizer)
        rows = matrix.reshape(classes, classes)[index].transpose(1, 2) * valid[:, None]
        loss, prob = _Infogain.apply(x.float().reshape(outer, classes, inner), rows, divisor)
        return (loss, prob.view(x.shape))[: self.top_count]


class _Infogain(Function):
    """Loss and softmax over axis 1; `rows` are the matrix rows of the labels. The gradient ignores the floor."""

    @staticmethod
    def forward(ctx, x, rows, divisor):
        prob = torch.softmax(x, 1)
        ctx.save_for_backward(prob, rows)
        ctx.divisor = divisor
        ctx.mark_non_differentiable(prob)
        return -(rows * prob.clamp(min=_loss.LOG_THRESHOLD).log()).sum() / divisor, prob

    @staticmethod
    def backward(ctx, grad, _):
        prob, rows = ctx.saved_tensors
        return (prob * rows.sum(1, keepdim=True) - rows) * (grad / ctx.divisor), None, None
