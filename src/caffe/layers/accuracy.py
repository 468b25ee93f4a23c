"""Accuracy."""

from __future__ import annotations

import math

from caffe.core.lazy_torch import torch
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Accuracy(Layer):
    """The fraction of labels among the `top_k` highest scores along `axis` (accuracy_layer.cpp).

    A label is correct if fewer than `top_k` other classes have an equal or higher score, so ties count as errors.
    Labels equal to `ignore_label` are ignored. A second top holds the accuracy per class, 0 for a class without labels.
    """

    num_bottom = 2
    num_top = (1, 2)
    differentiable = False
    no_onnx = "it measures a net on labelled data"
    examples = (
        Example("", [(6, 5), (6,)], values=("normal", 5)),
        Example("accuracy_param { top_k: 2 }", [(6, 5), (6,)], values=("normal", 5), tops=2),
        Example("accuracy_param { axis: 1 ignore_label: 2 }", [(2, 5, 3, 4), (2, 3, 4)], values=("normal", 5)),
    )

    def top_shapes(self, data: Shape, label: Shape) -> list[Shape]:
        p = self.param.accuracy_param
        self.along = self.axis(p.axis, data)
        _loss.check_label_count(data, label, self.along)
        size = math.prod(data) // max(1, math.prod(label))
        self.need(p.top_k <= size, "top_k must not exceed the %d classes, received %d", size, p.top_k)
        return [(), (data[self.along],)][: self.top_count]

    def forward(self, scores: Tensor, label: Tensor) -> Tensor | tuple[Tensor, ...]:
        p = self.param.accuracy_param
        self.top_shapes(tuple(scores.shape), tuple(label.shape))
        classes = scores.shape[self.along]
        rows = scores.movedim(self.along, -1).reshape(-1, classes)
        index, valid = _loss.class_labels(label.reshape(-1), classes, _loss.ignored(p))
        label_scores = rows.gather(1, index[:, None])
        correct = (((rows >= label_scores).sum(1) - 1) < p.top_k) & valid
        total = correct.sum() / valid.sum().clamp(min=1)
        if self.top_count == 1:
            return total
        counts = torch.bincount(index[valid], minlength=classes)
        hits = torch.bincount(index[correct], minlength=classes)
        return total, hits / counts.clamp(min=1)
