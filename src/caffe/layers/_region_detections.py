"""DetectionOutput of caffe-yolov2: the detections of YOLOv2 from one bottom, as rows with centers and sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers import _yolo
from caffe.layers._emit import one
from caffe.layers.base import Shape
from caffe.layers.yolo_detection_output import yolo_boxes_to_onnx


def check(layer: Any, bottom: Shape) -> np.ndarray:
    """Return the anchors (n, 2) in cells, after checking the parameters and the bottom."""
    p = layer.param.detection_output_param
    anchors = np.array(p.biases, np.float32).reshape(-1, 2)[: p.num_box]
    expected = p.num_box * (5 + p.num_classes)
    layer.need(len(anchors) == p.num_box > 0, "biases must have two values for each of %d boxes", p.num_box)
    layer.need(p.coords == 4, "coords must be 4, received %d", p.coords)
    layer.need(
        bottom[0] == 1 and bottom[1] == expected, "the bottom must be 1 x %d x H x W, received %s", expected, bottom
    )
    return anchors


def detect(layer: Any, bottom: np.ndarray) -> np.ndarray:
    """Return the rows (0, label from 0, score, x, y, width, height) of an item, A (5 + C) x H x W."""
    p = layer.param.detection_output_param
    cells = _yolo.cells(bottom, len(layer.anchors))
    grid, anchors = _yolo.positions(bottom.shape[1], bottom.shape[2], layer.anchors)
    sizes = np.array([bottom.shape[2], bottom.shape[1]], np.float32)
    centers = (grid + _yolo.sigmoid(cells[:, :2])) / sizes
    boxes = np.concatenate([centers, np.exp(cells[:, 2:4]) * anchors / sizes], axis=1)
    classes = np.exp(cells[:, 5:] - cells[:, 5:].max(1, keepdims=True))
    scores = _yolo.sigmoid(cells[:, 4]) * classes.max(1) / classes.sum(1)
    kept = scores >= np.float32(p.confidence_threshold)
    rows = _yolo.detections(boxes[kept], scores[kept], classes.argmax(1)[kept].astype(float), p.nms_threshold)
    if rows[0, 1] >= 0:
        low, high = rows[:, 3:5].copy(), rows[:, 5:7].copy()
        rows[:, 3:5], rows[:, 5:7] = (low + high) / 2, high - low
    return rows


def emit(layer: Any, g: Any, bottoms: list[str], tops: list[str]) -> None:
    """Emit `detect`."""
    p, one = layer.param.detection_output_param, _yolo.one
    height, width = g.shape(bottoms[0])[2:]
    cells = _yolo.cells_to_onnx(g, bottoms[0], len(layer.anchors))
    grid, anchors = _yolo.positions(height, width, layer.anchors)
    sizes = np.array([width, height], np.float32)
    boxes = yolo_boxes_to_onnx(g, cells, grid, anchors / sizes, sizes)
    classes = one(g, "Softmax", [_yolo.columns(g, cells, 5, 5 + p.num_classes)], "classes", axis=1)
    best = one(g, "ReduceMax", [classes], "best", axes=[1], keepdims=1)
    score = one(g, "Mul", [one(g, "Sigmoid", [_yolo.columns(g, cells, 4, 5)], "object"), best], "score")
    scores = one(g, "Reshape", [score, g.constant([-1], "flat")], "scores")
    labels = one(g, "Cast", [one(g, "ArgMax", [classes], "class", axis=1, keepdims=0)], "number", to=1)
    corners = g.temp("corners")
    least = float(_yolo.below(p.confidence_threshold))
    _yolo.detections_to_onnx(g, boxes, scores, labels, least, p.nms_threshold, corners)
    _centers_to_onnx(g, corners, tops[0])


def _centers_to_onnx(g: Any, corners: str, top: str) -> None:
    """Emit the rows with centers and sizes instead of corners; a row of -1 stays."""
    matrix = np.eye(7, dtype=np.float32)
    matrix[3:, 3:] = [[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]]
    changed = one(g, "MatMul", [corners, g.constant(matrix, "centers")], "changed")
    label = one(g, "Slice", [corners, *(g.constant([n], f"n{i}") for i, n in enumerate((1, 2, 3)))], "label")
    none = one(g, "Less", [label, g.constant(np.float32(-0.5), "none")], "none")
    g.node("Where", [none, corners, changed], [top])
