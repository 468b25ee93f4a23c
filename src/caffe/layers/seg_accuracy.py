"""SegAccuracy: accuracy of a segmentation."""

from __future__ import annotations

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class SegAccuracy(Layer):
    """Pixel accuracy, mean class accuracy and mean intersection over union, 1 x 1 x 1 x 3 (DeepLab, PSPNet).

    The mean class accuracy is over the classes of the labels. The intersection over union is 1 for a class that does
    not occur but is smaller than the largest one that does. Pixels with an ignore_label do not count. With reset:
    false, the counts are accumulated over several forward passes.
    """

    num_bottom = 2
    repeatable = False  # it counts
    differentiable = False
    no_onnx = "it measures a net on labelled data"
    examples = (Example("seg_accuracy_param { ignore_label: 2 }", [(2, 3, 4, 4), (2, 1, 4, 4)], values=("normal", 3)),)

    def setup(self, data: Shape, label: Shape) -> None:
        self.counts = np.zeros((data[1], data[1]))

    def top_shapes(self, data: Shape, label: Shape) -> list[Shape]:
        self.need(
            len(data) == len(label) == 4 and label == (data[0], 1, *data[2:]),
            "data %s needs labels with one channel and the same size, received %s",
            data,
            label,
        )
        return [(1, 1, 1, 3)]

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        p = self.param.seg_accuracy_param
        truth = label.detach().cpu().numpy().astype(int).ravel()
        predicted = x.detach().argmax(1).cpu().numpy().ravel()
        counted = ~np.isin(truth, list(p.ignore_label))
        truth, predicted = truth[counted], predicted[counted]
        wrong = truth[(truth < 0) | (truth >= x.shape[1])]
        self.need(not wrong.size, "label %d is outside 0 .. %d", wrong[0] if wrong.size else 0, x.shape[1] - 1)
        if p.reset:
            self.counts[...] = 0
        np.add.at(self.counts, (truth, predicted), 1)
        return torch.tensor(self._measures(), dtype=x.dtype).to(x.device).reshape(1, 1, 1, 3)

    def _measures(self):
        right, rows, columns = np.diag(self.counts), self.counts.sum(1), self.counts.sum(0)
        union = rows + columns - right
        recall = np.divide(right, rows, out=np.zeros_like(right), where=rows > 0)
        jaccard = np.divide(right, union, out=np.ones_like(right), where=union > 0)
        known = int((union > 0).nonzero()[0].max(initial=-1)) + 1
        means = [recall[rows > 0].mean(), jaccard[:known].mean()] if known else [0.0, 0.0]
        return [right.sum() / max(1.0, rows.sum()), *means]
