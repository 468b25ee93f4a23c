"""Yolov3DetectionOutput: the detections of YOLOv3."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers import _yolo
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.layers.yolo_detection_output import yolo_boxes_to_onnx


@register
class Yolov3DetectionOutput(Layer):
    """Detections of YOLOv3: rows (0, label from 1, score, left, top, right, bottom), 1 x 1 x n x 7.

    Bottoms: mask_group_num maps with num_box * (5 + num_classes) channels; for each anchor: x, y, log w, log h, object,
    classes. `mask` lists the anchors of each map as indices into `biases` (widths and heights in pixels of the image),
    anchors_scale the stride of each map. Every class with a score (sigmoid of object times that of the class) above
    confidence_threshold is a candidate; it is removed if it overlaps a better one, of any class, by nms_threshold or
    more. The batch size must be 1. Source: Redmon & Farhadi 2018; MobileNet-YOLO.
    """

    num_bottom = (1, None)
    rows_vary = True
    no_gradient = (0, 1, 2)
    differentiable = False
    examples = (
        Example(
            "yolov3_detection_output_param { num_classes: 2 num_box: 2 mask_group_num: 2 mask: [2, 3, 0, 1] "
            "anchors_scale: [16, 8] biases: [7, 9, 12, 14, 20, 25, 30, 32] confidence_threshold: 0.4 }",
            [(1, 14, 2, 2), (1, 14, 4, 4)],
        ),
    )

    def setup(self, *bottoms: Shape) -> None:
        p = self.param.yolov3_detection_output_param
        self.need(not p.gaussian_box, "gaussian_box is not implemented")
        self.need(
            len(bottoms) == p.mask_group_num == len(p.anchors_scale),
            "expected one bottom and one anchors_scale per mask group",
        )
        each = len(p.mask) // p.mask_group_num
        self.need(each >= p.num_box > 0, "mask must list %d anchors per bottom, received %d", p.num_box, each)
        anchors = np.array(p.biases, np.float32).reshape(-1, 2)
        self.need(max(p.mask) < len(anchors), "mask lists anchor %d, but biases has only %d", max(p.mask), len(anchors))
        self.anchors = [anchors[list(p.mask[each * i : each * i + p.num_box])] for i in range(len(bottoms))]
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

    def _positions(self, number, height, width):
        """Return grid, anchors as fractions of the image, and size of the map for a bottom."""
        stride = self.param.yolov3_detection_output_param.anchors_scale[number]
        sides = np.array([width, height], np.float32)
        grid, anchors = _yolo.positions(height, width, self.anchors[number])
        return grid, anchors / (sides * stride), sides

    def forward(self, *bottoms: Tensor) -> Tensor:
        p = self.param.yolov3_detection_output_param
        found = [self._candidates(number, x.detach().cpu().numpy()[0]) for number, x in enumerate(bottoms)]
        boxes, scores = (np.concatenate(parts) for parts in zip(*found))
        cell, label = (scores > np.float32(p.confidence_threshold)).nonzero()
        rows = _yolo.detections(boxes[cell], scores[cell, label], label + 1.0, p.nms_threshold)
        return torch.from_numpy(rows[None, None]).to(bottoms[0].device)

    def _candidates(self, number, bottom):
        cells = _yolo.cells(bottom, self.param.yolov3_detection_output_param.num_box)
        grid, anchors, sides = self._positions(number, *bottom.shape[1:])
        boxes = np.concatenate([(grid + _yolo.sigmoid(cells[:, :2])) / sides, np.exp(cells[:, 2:4]) * anchors], axis=1)
        return boxes, _yolo.sigmoid(cells[:, 5:]) * _yolo.sigmoid(cells[:, 4:5])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p, one = self.param.yolov3_detection_output_param, _yolo.one
        parts = [self._candidates_to_onnx(g, number, bottom) for number, bottom in enumerate(bottoms)]
        boxes, scores = (
            names[0] if len(names) == 1 else one(g, "Concat", list(names), "all", axis=0) for names in zip(*parts)
        )
        cells = sum(g.shape(bottom)[2] * g.shape(bottom)[3] for bottom in bottoms) * p.num_box
        apart = one(g, "Unsqueeze", [boxes], "apart", axes=[1])
        repeated = one(g, "Expand", [apart, g.constant([cells, p.num_classes, 4], "size")], "repeated")
        rows = one(g, "Reshape", [repeated, g.constant([-1, 4], "rows")], "boxes")
        flat = one(g, "Reshape", [scores, g.constant([-1], "flat")], "flat")
        labels = g.constant(np.tile(np.arange(p.num_classes, dtype=np.float32) + 1, cells), "labels")
        _yolo.detections_to_onnx(g, rows, flat, labels, p.confidence_threshold, p.nms_threshold, tops[0])

    def _candidates_to_onnx(self, g, number, bottom):
        p, one = self.param.yolov3_detection_output_param, _yolo.one
        cells = _yolo.cells_to_onnx(g, bottom, p.num_box)
        boxes = yolo_boxes_to_onnx(g, cells, *self._positions(number, *g.shape(bottom)[2:]))
        sure = one(g, "Sigmoid", [_yolo.columns(g, cells, 4, 5)], "object")
        classes = one(g, "Sigmoid", [_yolo.columns(g, cells, 5, 5 + p.num_classes)], "classes")
        return boxes, one(g, "Mul", [classes, sure], "scores")
