"""SoftmaxWithLoss."""

from __future__ import annotations

from caffe.core.lazy_torch import Function, torch
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class SoftmaxWithLoss(Layer):
    """Cross entropy of the softmax: the sum of -log(softmax(x)[label]) / normalizer (softmax_loss_layer.cpp).

    `softmax_param.axis` is the class axis; there is one label per remaining position. The default of
    `loss_param.normalization` is VALID, the number of labels other than `ignore_label`. In the loss, probabilities are
    at least FLT_MIN. A second top holds the softmax. With SegNet's `weight_by_label_freqs`, each loss is multiplied by
    the `class_weighting` of its label; the normalizer stays the same.
    """

    num_bottom = 2
    num_top = (1, 2)
    is_loss = auto_top = True
    no_gradient = (1,)
    deploys_as = "Softmax"
    no_onnx = "it is a loss, for training only; the deploy net has a Softmax"
    examples: tuple = (
        Example("", [(4, 5), (4,)], values=("normal", 5)),
        Example("loss_param { ignore_label: 2 }", [(2, 5, 3, 4), (2, 3, 4)], values=("normal", 5)),
        Example(
            "softmax_param { axis: 2 } loss_param { normalization: FULL }",
            [(2, 3, 5), (2, 3)],
            values=("normal", 5),
            tops=2,
        ),
    )

    def top_shapes(self, data: Shape, label: Shape) -> list[Shape]:
        _loss.check_same_first(data, label)
        self.along = self.axis(self.param.softmax_param.axis, data)
        _loss.check_label_count(data, label, self.along)
        p = self.param.loss_param
        self.need(
            not p.weight_by_label_freqs or len(p.class_weighting) == data[self.along],
            "expected one class_weighting per class (%d), received %d",
            data[self.along],
            len(p.class_weighting),
        )
        return [(), data][: self.top_count]

    def forward(self, x: Tensor, label: Tensor) -> Tensor | tuple[Tensor, ...]:
        self.top_shapes(tuple(x.shape), tuple(label.shape))
        p = self.param.loss_param
        outer, classes, inner = _loss.split(x.shape, self.along)
        # PyTorch's softmax of the last axis takes one thread if there are few values, of another one always several
        positions = () if inner == 1 else (inner,)
        index, valid = _loss.class_labels(label.reshape(outer, 1, *positions), classes, _loss.ignored(p))
        mode = _loss.normalization(p, _loss.LossParameter.VALID)
        divisor = _loss.normalizer(mode, outer, inner, int(valid.sum()), p.pre_fixed_normalizer)
        if p.weight_by_label_freqs:
            valid = valid * torch.tensor(list(p.class_weighting), dtype=torch.float32).to(x.device)[index]
        loss, prob = _SoftmaxLoss.apply(x.float().reshape(outer, classes, *positions), index, valid, divisor)
        return (loss, prob.view(x.shape))[: self.top_count]


class _SoftmaxLoss(Function):
    """Loss and softmax over axis 1; as in Caffe, the gradient ignores the floor and the diff of the second top."""

    @staticmethod
    def forward(ctx, x, index, valid, divisor):
        prob = torch.softmax(x, 1)
        floored = prob.gather(1, index).clamp(min=_loss.FLT_MIN)
        ctx.save_for_backward(prob, index, valid)
        ctx.divisor = divisor
        ctx.mark_non_differentiable(prob)
        return -(floored.log() * valid).sum() / divisor, prob

    @staticmethod
    def backward(ctx, grad, _):
        prob, index, valid = ctx.saved_tensors
        one = torch.ones_like(index, dtype=prob.dtype)
        return (prob.scatter_add(1, index, -one) * valid) * (grad / ctx.divisor), None, None, None
