"""SegAccuracy: how well pixels are told."""

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register


@register
class SegAccuracy(Layer):
    """Three numbers over the pixels, 1 x 1 x 1 x 3: the share told right, the mean share a class of the labels, and the mean
    over the classes of intersection by union, 1 for one that is not met below the greatest that is (DeepLab, PSPNet). Pixels with an ignore_label do not count; with reset: false
    counts go on from forward to forward.
    """

    num_bottom = 2
    differentiable = False
    no_onnx = "it measures a net on labelled data"
    examples = (Example("seg_accuracy_param { ignore_label: 2 }", [(2, 3, 4, 4), (2, 1, 4, 4)], values=("normal", 3)),)

    def setup(self, data, label):
        self.counts = np.zeros((data[1], data[1]))

    def top_shapes(self, data, label):
        self.need(
            len(data) == len(label) == 4 and label == (data[0], 1, *data[2:]),
            "%s needs labels of one channel: %s",
            data,
            label,
        )
        return [(1, 1, 1, 3)]

    def forward(self, x, label):
        p = self.param.seg_accuracy_param
        truth = label.detach().cpu().numpy().astype(int).ravel()
        told = x.detach().argmax(1).cpu().numpy().ravel()
        counted = ~np.isin(truth, list(p.ignore_label))
        truth, told = truth[counted], told[counted]
        wrong = truth[(truth < 0) | (truth >= x.shape[1])]
        self.need(not wrong.size, "label %d is outside 0 .. %d", wrong[0] if wrong.size else 0, x.shape[1] - 1)
        if p.reset:
            self.counts[...] = 0
        np.add.at(self.counts, (truth, told), 1)
        return torch.tensor(self._measures(), dtype=x.dtype, device=x.device).reshape(1, 1, 1, 3)

    def _measures(self):
        right, rows, columns = np.diag(self.counts), self.counts.sum(1), self.counts.sum(0)
        union = rows + columns - right
        recall = np.divide(right, rows, out=np.zeros_like(right), where=rows > 0)
        jaccard = np.divide(right, union, out=np.ones_like(right), where=union > 0)
        known = int((union > 0).nonzero()[0].max(initial=-1)) + 1
        means = [recall[rows > 0].mean(), jaccard[:known].mean()] if known else [0.0, 0.0]
        return [right.sum() / max(1.0, rows.sum()), *means]
