"""YoloDetectionOutput: the detections of YOLOv2."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers import _yolo
from caffe.layers._emit import one
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class YoloDetectionOutput(Layer):
    """Detections of YOLOv2: rows (0, label from 1, score, left, top, right, bottom), 1 x 1 x n x 7.

    Bottoms: one or two maps with num_box * (5 + num_classes) channels; for each anchor: x, y, log w, log h, object,
    classes. `biases` are the widths and heights of the anchors in cells. The score is sigmoid(object) times the largest
    softmax of the classes. Boxes with a score of at least confidence_threshold are kept unless they overlap a better
    one, of any class, by nms_threshold or more. The batch size must be 1. Source: Redmon & Farhadi 2017;
    MobileNet-YOLO.
    """

    num_bottom = (1, 2)
    rows_vary = True
    no_gradient = (0, 1)
    differentiable = False
    examples = (
        Example(
            "yolo_detection_output_param { num_classes: 3 num_box: 2 biases: [0.7, 0.9, 2.4, 2.6] "
            "confidence_threshold: 0.3 }",
            [(1, 16, 3, 3)],
        ),
    )

    def setup(self, *bottoms: Shape) -> None:
        p = self.param.yolo_detection_output_param
        self.anchors = np.array(p.biases, np.float32).reshape(-1, 2)[: p.num_box]
        self.need(len(self.anchors) == p.num_box > 0, "biases must have two values for each of %d boxes", p.num_box)
        self.need(p.coords == 4, "coords must be 4, received %d", p.coords)
        for bottom in bottoms:
            expected = p.num_box * (5 + p.num_classes)
            self.need(
                bottom[0] == 1 and bottom[1] == expected,
                "a bottom must be 1 x %d x H x W, received %s",
                expected,
                bottom,
            )

    def top_shapes(self, *bottoms: Shape) -> list[Shape]:
        return [(1, 1, 1, 7)]

    def forward(self, *bottoms: Tensor) -> Tensor:
        p = self.param.yolo_detection_output_param
        found = [self._candidates(x.detach().cpu().numpy()[0]) for x in bottoms]
        boxes, scores, labels = (np.concatenate(parts) for parts in zip(*found))
        kept = scores >= np.float32(p.confidence_threshold)
        rows = _yolo.detections(boxes[kept], scores[kept], labels[kept], p.nms_threshold)
        return torch.from_numpy(rows[None, None]).to(bottoms[0].device)

    def _candidates(self, bottom):
        cells = _yolo.cells(bottom, len(self.anchors))
        grid, anchors = _yolo.positions(bottom.shape[1], bottom.shape[2], self.anchors)
        sizes = np.float32(bottom.shape[2])
        boxes = np.concatenate(
            [(grid + _yolo.sigmoid(cells[:, :2])) / sizes, np.exp(cells[:, 2:4]) * anchors / sizes], 1
        )
        classes = np.exp(cells[:, 5:] - cells[:, 5:].max(1, keepdims=True))
        best = classes.max(1) / classes.sum(1)
        return boxes, _yolo.sigmoid(cells[:, 4]) * best, classes.argmax(1) + 1.0

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.yolo_detection_output_param
        found = [self._candidates_to_onnx(g, bottom) for bottom in bottoms]
        names = [parts[0] if len(parts) == 1 else one(g, "Concat", list(parts), "all", axis=0) for parts in zip(*found)]
        boxes, scores, labels = names
        _yolo.detections_to_onnx(
            g, boxes, scores, labels, float(_yolo.below(p.confidence_threshold)), p.nms_threshold, tops[0]
        )

    def _candidates_to_onnx(self, g, bottom):
        p, one = self.param.yolo_detection_output_param, _yolo.one
        cells = _yolo.cells_to_onnx(g, bottom, len(self.anchors))
        height, width = g.shape(bottom)[2:]
        grid, anchors = _yolo.positions(height, width, self.anchors)
        boxes = yolo_boxes_to_onnx(g, cells, grid, anchors / np.float32(width), np.float32(width))
        classes = one(g, "Softmax", [_yolo.columns(g, cells, 5, 5 + p.num_classes)], "classes", axis=1)
        best = one(g, "ReduceMax", [classes], "best", axes=[1], keepdims=1)
        score = one(g, "Mul", [one(g, "Sigmoid", [_yolo.columns(g, cells, 4, 5)], "object"), best], "score")
        label = one(g, "Cast", [one(g, "ArgMax", [classes], "class", axis=1, keepdims=0)], "number", to=1)
        label = one(g, "Add", [label, g.constant(np.float32(1), "one")], "label")
        return boxes, one(g, "Reshape", [score, g.constant([-1], "flat")], "scores"), label


def yolo_boxes_to_onnx(g, cells, grid, anchors, sides):
    """Emit the boxes (x, y, w, h) of the cells: (grid + sigmoid) / sides and anchors * exp."""
    one = _yolo.one
    moved = one(
        g, "Add", [one(g, "Sigmoid", [_yolo.columns(g, cells, 0, 2)], "shift"), g.constant(grid, "grid")], "moved"
    )
    center = one(g, "Div", [moved, g.constant(np.asarray(sides, np.float32), "sides")], "center")
    size = one(
        g, "Mul", [one(g, "Exp", [_yolo.columns(g, cells, 2, 4)], "growth"), g.constant(anchors, "anchors")], "size"
    )
    return one(g, "Concat", [center, size], "boxes", axis=1)
