"""DetectionEvaluate: compares detections with true boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.data.boxes import resize
from caffe.layers import _boxes
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class DetectionEvaluate(Layer):
    """Rows (item, label, score, true positive, false positive) of detections, 1 x 1 x n x 5 (SSD).

    Bottoms: rows of DetectionOutput and of AnnotatedData. First there is one row (-1, label, number of true boxes, -1,
    -1) per class except background_label_id. A detection is a true positive if the true box of its label that overlaps
    it most does so by overlap_threshold and has no better detection. With evaluate_difficult_gt: false, difficult boxes
    do not count, and detections of them are neither true nor false.

    name_size_file has the original size (`name height width`) of each image in the order of the database; boxes are
    then compared in pixels, and both corners are part of a box. The solver (eval_type: "detection") and `caffe test`
    compute the mean average precision from these rows.
    """

    num_bottom = 2
    repeatable = False  # it counts
    no_gradient = (0, 1)
    rows_vary = True
    differentiable = False
    no_onnx = "it measures a net on labelled data"
    examples = (
        Example(
            "detection_evaluate_param { num_classes: 2 background_label_id: 0 }",
            [(1, 1, 3, 7), (1, 1, 2, 8)],
            ("unit", "unit"),
        ),
    )

    def setup(self, found: Shape, truth: Shape) -> None:
        p = self.param.detection_evaluate_param
        self.need(p.num_classes > 0, "num_classes is required")
        self.need(p.overlap_threshold > 0, "overlap_threshold must be positive, received %g", p.overlap_threshold)
        self.sizes = self._sizes(p.name_size_file) if p.name_size_file else []
        self.number, self.needs_every_batch = 0, bool(self.sizes)

    def _sizes(self, path):
        self.need(Path(path).is_file(), "name_size_file '%s' does not exist", path)
        lines = [line.split() for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
        for number, line in enumerate(lines, 1):
            valid = len(line) == 3 and all(size.isdigit() for size in line[1:])
            self.need(valid, "%s:%d: expected `name height width`, received '%s'", path, number, " ".join(line))
        return [(int(height), int(width)) for _, height, width in lines]

    def top_shapes(self, found: Shape, truth: Shape) -> list[Shape]:
        p = self.param.detection_evaluate_param
        self.need(found[-1] == 7, "the detections must have 7 columns, received %s", found)
        self.need(truth[-1] == 8, "the true boxes must have 8 columns, received %s", truth)
        return [(1, 1, p.num_classes - (p.background_label_id < p.num_classes) + found[-2], 5)]

    def forward(self, found: Tensor, truth: Tensor) -> Tensor:
        p = self.param.detection_evaluate_param
        detections = found.detach().cpu().numpy().reshape(-1, 7)
        boxes = truth.detach().cpu().numpy().reshape(-1, 8)
        detections, boxes = detections[detections[:, 1] != -1], boxes[boxes[:, 0] != -1]
        counted = boxes if p.evaluate_difficult_gt else boxes[boxes[:, 7] == 0]
        rows = [
            [-1, label, (counted[:, 1] == label).sum(), -1, -1]
            for label in range(p.num_classes)
            if label != p.background_label_id
        ]
        for item in np.unique(detections[:, 0]):
            own, known = detections[detections[:, 0] == item], boxes[boxes[:, 0] == item]
            size = self._next_size()
            for label in np.unique(own[:, 1]):
                rows += self._rows(own[own[:, 1] == label], known[known[:, 1] == label], size)
        return torch.tensor(np.array(rows, np.float32)).to(found.device)[None, None]

    def _next_size(self):
        if not self.sizes:
            return None
        size = self.sizes[self.number % len(self.sizes)]
        self.number += 1
        return size

    def _rows(self, found, truth, size):
        """Return the rows of the detections of one item and label."""
        p = self.param.detection_evaluate_param
        corners, plus = truth[:, 3:7], 0
        places = found[:, 3:7]
        if size is not None:
            corners, places, plus = self._in_pixels(corners, size), self._in_pixels(places, size), 1
        taken, rows = set(), []
        for index in np.argsort(-found[:, 2], kind="stable"):
            overlaps = _boxes.overlaps(places[index], corners, plus) if len(corners) else np.zeros(0)
            best = int(overlaps.argmax()) if len(overlaps) else -1
            right = wrong = 0
            if best < 0 or overlaps[best] < p.overlap_threshold or best in taken:
                wrong = 1
            else:
                right = 1
                taken.add(best)
            if best >= 0 and overlaps[best] >= p.overlap_threshold and truth[best, 7] and not p.evaluate_difficult_gt:
                right = wrong = 0
            rows.append([found[index, 0], found[index, 1], found[index, 2], right, wrong])
        return rows

    def _in_pixels(self, boxes, size):
        p = self.param.detection_evaluate_param
        height, width = size
        if p.HasField("resize_param") and p.resize_param.resize_mode == p.resize_param.FIT_LARGE_SIZE_AND_PAD:
            boxes = resize.unpadded(boxes, p.resize_param, size)
        scaled = boxes * np.array([width, height, width, height], np.float32)
        return np.clip(scaled, 0, [width, height, width, height])
