"""DetectionOutput: SSD's detections from offsets, scores and prior boxes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers import _boxes, _region_detections
from caffe.layers.base import Example, Layer, Shape, Tensor, register

_SYNOPSYS = [
    "ratio_permute",
    "no_permute",
    "arm_conf_no_concat",
    "arm_loc_no_concat",
    "tflite_detection",
    "tflite_use_regular_nms",
    "has_segmap",
]


@register
class DetectionOutput(Layer):
    """Detections of SSD: rows (item, label, score, xmin, ymin, xmax, ymax), 1 x 1 x n x 7.

    Bottoms: offsets (N x 4 P, or 4 P per class with share_location: false), scores (N x P C) and prior boxes (1 x 2 x 4
    P). The offsets are decoded by code_type. For each class except background_label_id, the top_k boxes with the best
    scores above confidence_threshold are candidates; a candidate is removed if it overlaps a better one by more than
    nms_threshold. The best keep_top_k of all classes are output. Without any detection there is one row per item: its
    number, followed by -1.

    Two more bottoms, the scores and offsets of RefineDet's ARM, adjust the priors first; priors with a score below
    objectness_score have no detections. A fourth bottom without a fifth is the image that SSD draws on, and is ignored,
    as are save_output_param (writes files) and `visualize` (Liu et al. 2016).

    With `normalized: false` (OpenVINO's Caffe), the priors are rows (item, xmin, ymin, xmax, ymax) in pixels of an
    image of input_width x input_height. With `biases` (caffe-yolov2), there is one bottom, YOLOv2's, with num_box * (5
    + num_classes) channels, as in YoloDetectionOutput, but labels start at 0, and a row ends with the center, width
    and height of the box.
    """

    num_bottom = (1, 5)
    rows_vary = True
    no_gradient = (0, 1, 2, 3, 4)
    differentiable = False
    examples = (
        Example(
            "detection_output_param { num_classes: 3 keep_top_k: 4 confidence_threshold: 0.2 code_type: CENTER_SIZE "
            "nms_param { nms_threshold: 0.45 top_k: 5 } }",
            [(1, 32), (1, 24), (1, 2, 32)],
            ("normal", "unit", "unit"),
        ),
        Example(
            "detection_output_param { num_classes: 3 keep_top_k: 4 confidence_threshold: 0.2 code_type: CORNER }",
            [(2, 32), (2, 24), (1, 2, 32)],
            ("normal", "unit", "unit"),
        ),
        Example(
            "detection_output_param { num_classes: 3 num_box: 2 biases: [0.7, 0.9, 2.4, 2.6] "
            "confidence_threshold: 0.3 }",
            [(1, 16, 3, 3)],
        ),
    )

    def setup(self, offsets: Shape, *others: Shape) -> None:
        p = self.param.detection_output_param
        if len(p.biases):
            self.need(not others, "with biases, there is one bottom, received %d", len(others) + 1)
            self.anchors = _region_detections.check(self, offsets)
            return
        self.need(len(others) >= 2, "expected offsets, scores and prior boxes, received %d bottoms", len(others) + 1)
        self.need(
            p.normalized or (p.variance_encoded_in_target and min(p.input_width, p.input_height) > 0),
            "normalized: false needs variance_encoded_in_target: true, input_width and input_height",
        )
        for name in _SYNOPSYS:
            self.need(not getattr(p, name), "detection_output_param.%s is not implemented", name)
        self.need(p.num_classes > 0, "num_classes is required")
        self.top_k = p.nms_param.top_k if p.nms_param.HasField("top_k") else -1
        self.least = p.confidence_threshold if p.HasField("confidence_threshold") else -np.inf
        self.classes = [c for c in range(p.num_classes) if c != p.background_label_id]

    def top_shapes(self, offsets: Shape, *others: Shape) -> list[Shape]:
        p = self.param.detection_output_param
        if len(p.biases):
            return [(1, 1, 1, 7)]
        scores, priors = others[:2]
        self.count = priors[2] // 4 if p.normalized else math.prod(priors[1:]) // 5
        sets = 1 if p.share_location else p.num_classes
        self.need(
            offsets[1] == 4 * self.count * sets,
            "%d prior boxes need %d offsets, received %s",
            self.count,
            4 * self.count * sets,
            offsets,
        )
        self.need(
            scores[1] == self.count * p.num_classes,
            "%d prior boxes need %d scores, received %s",
            self.count,
            self.count * p.num_classes,
            scores,
        )
        return [(1, 1, 1, 7)]

    def forward(self, offsets: Tensor, *others: Tensor) -> Tensor:
        arrays = [x.detach().cpu().numpy() for x in (offsets, *others)]
        if len(self.param.detection_output_param.biases):
            return torch.from_numpy(_region_detections.detect(self, arrays[0][0])[None, None]).to(offsets.device)
        rows = [row for item in range(len(arrays[0])) for row in self._item(item, *arrays)]
        if not rows:
            rows = [[item, *[-1.0] * 6] for item in range(len(arrays[0]))]
        return torch.tensor(rows, dtype=torch.float32).to(offsets.device)[None, None]

    def _item(self, item, offsets, scores, priors, *arm):
        p = self.param.detection_output_param
        sets = 1 if p.share_location else p.num_classes
        moves = offsets[item].reshape(self.count, sets, 4).transpose(1, 0, 2)
        corners, spread = self._priors(priors)
        spread = None if p.variance_encoded_in_target else spread
        values = np.ascontiguousarray(scores[item].reshape(self.count, p.num_classes).T)
        if len(arm) == 2:
            corners = _boxes.decode(arm[1][item].reshape(self.count, 4), corners, spread, p.code_type)
            quiet = arm[0][item].reshape(self.count, 2)[:, 1] < p.objectness_score
            values = np.where(quiet, 0, values)
        boxes = _boxes.decode(moves, corners, spread, p.code_type)
        found = [(c, index) for c in self.classes for index in self._class(boxes[0 if sets == 1 else c], values[c])]
        if -1 < p.keep_top_k < len(found):
            best = sorted(range(len(found)), key=lambda i: -values[found[i]])[: p.keep_top_k]
            found = [found[i] for i in sorted(best)]
        return [[item, c, values[c, i], *boxes[0 if sets == 1 else c][i]] for c, i in found]

    def _priors(self, priors):
        """Return the corners of the priors as fractions, and their variances."""
        p = self.param.detection_output_param
        if p.normalized:
            return priors[0].reshape(2, self.count, 4)
        sizes = np.array([p.input_width, p.input_height] * 2, np.float32)
        return priors.reshape(-1, 5)[:, 1:] / sizes, None

    def _class(self, boxes, values):
        p = self.param.detection_output_param.nms_param
        order = np.flatnonzero(values > self.least)
        order = order[np.argsort(-values[order], kind="stable")]
        order = order[: self.top_k] if self.top_k > -1 else order
        return order[_boxes.suppress(boxes[order], p.nms_threshold, eta=p.eta)].tolist()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        from caffe.layers import _detection_onnx

        p = self.param.detection_output_param
        if len(p.biases):
            _region_detections.emit(self, g, bottoms, tops)
            return
        self.need(
            p.normalized, "normalized: false cannot be exported to ONNX; end the net before this layer with -on LAYER"
        )
        self.need(
            len(bottoms) < 5,
            "RefineDet's bottoms cannot be exported to ONNX; end the net before this layer with -on LAYER",
        )
        self.need(
            p.share_location,
            "share_location: false cannot be exported to ONNX; end the net before this layer with -on LAYER",
        )
        self.need(
            p.nms_param.eta == 1,
            "nms_param.eta cannot be exported to ONNX; end the net before this layer with -on LAYER",
        )
        _detection_onnx.emit(self, g, bottoms, tops)
