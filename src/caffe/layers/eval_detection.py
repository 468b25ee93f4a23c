"""EvalDetection: counts the right and wrong detections of YOLOv2."""

from __future__ import annotations

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers import _boxes, _yolo, _yolo_loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class EvalDetection(Layer):
    """Compares YOLOv2's detections with boxes, for the average precision (intel/caffe).

    Bottoms as for RegionLoss. A row of the top has the number of boxes of each class, then four numbers per detection:
    class, score, true positive, false positive (0 for detections that do not exist). The score is that of the object,
    of the class, or their product (score_type); detections that overlap a better one by `nms` or more are removed. A
    detection is right if it overlaps a box of its class by `threshold`, and wrong if that box has been found before or
    its class has no box.
    """

    num_bottom = 2
    no_gradient = (0, 1)
    differentiable = False
    no_onnx = "it evaluates, for testing only"
    examples = (
        Example(
            "eval_detection_param { side: 3 num_class: 2 num_object: 2 nms: 0.5 biases: [1, 1.5, 2.5, 2] }",
            [(2, 14, 3, 3), (2, 10)],
            values=("normal", "unit"),
        ),
    )

    def setup(self, x: Shape, label: Shape) -> None:
        p = self.param.eval_detection_param
        self.need(p.nms >= 0, "nms must not be negative, received %g", p.nms)
        self.need(
            len(p.biases) == 2 * p.num_object,
            "expected 2 biases per anchor (%d), received %d",
            2 * p.num_object,
            len(p.biases),
        )

    def top_shapes(self, x: Shape, label: Shape) -> list[Shape]:
        p = self.param.eval_detection_param
        expected = (p.num_object * (5 + p.num_class), p.side, p.side)
        self.need(x[1:] == expected, "expected N x %d x %d x %d, received %s", *expected, x)
        _yolo_loss.check_label(label, x[0])
        return [(x[0], p.num_class + 4 * p.side * p.side * p.num_object)]

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        p, labels = self.param.eval_detection_param, label.detach().cpu().numpy()
        out = np.zeros((len(x), self.top_shapes(tuple(x.shape), labels.shape)[0][1]), np.float32)
        for item, values in enumerate(x.detach().cpu().numpy()):
            truths = _yolo_loss.truths(labels, item, p.num_class)
            np.add.at(out[item], truths[:, 0].astype(int), 1)
            labels_found, scores, boxes = self._detections(values)
            rows = _judged(labels_found, scores, boxes, truths, p.threshold)
            out[item, p.num_class : p.num_class + 4 * len(rows)] = np.reshape(rows, -1)
        return torch.from_numpy(out).to(x.device)

    def _detections(self, values):
        """Return labels, scores and boxes (center, size), in the order of label and score."""
        p = self.param.eval_detection_param
        cells = _yolo.cells(values, p.num_object)
        grid, anchors = _yolo.positions(p.side, p.side, np.array(p.biases, np.float32).reshape(-1, 2))
        boxes = np.concatenate([grid + _yolo.sigmoid(cells[:, :2]), np.exp(cells[:, 2:4]) * anchors], axis=1) / p.side
        classes = np.exp(cells[:, 5:] - cells[:, 5:].max(axis=1, keepdims=True))
        classes /= classes.sum(axis=1, keepdims=True)
        object_, label = _yolo.sigmoid(cells[:, 4]), classes.argmax(axis=1)
        score = {p.OBJ: object_, p.PROB: classes.max(axis=1), p.MULTIPLY: object_ * classes.max(axis=1)}[p.score_type]
        order = np.argsort(-score, kind="stable")
        kept = order[_boxes.suppress(_yolo_loss.corners(boxes[order]), float(_yolo.below(p.nms)))]
        kept = kept[score[kept] >= 0.005]  # of Darknet
        kept = kept[np.argsort(label[kept], kind="stable")]
        return label[kept], score[kept], boxes[kept]


def _judged(labels, scores, boxes, truths, threshold):
    """Return rows (label, score, true positive, false positive)."""
    rows, found = [], set()
    for label, score, box in zip(labels, scores, boxes):
        own = np.flatnonzero(truths[:, 0] == label)
        overlap = _yolo_loss.overlaps(box, truths[own, 1:])
        right = wrong = False
        if not len(own):
            wrong = True
        elif overlap.max() >= threshold:
            truth = own[overlap.argmax()]
            right, wrong = truth not in found, truth in found
            found.add(truth)
        rows.append((label, score, right, wrong))
    return rows
