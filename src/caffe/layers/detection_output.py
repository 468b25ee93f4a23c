"""DetectionOutput: SSD's boxes from offsets, scores and priors."""

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers import _boxes
from caffe.layers.base import Example, Layer, register

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
    """Rows (item, label, score, xmin, ymin, xmax, ymax), 1 x 1 x n x 7, of what is found (Liu et al. 2016).

    Bottoms: offsets (N x 4 P, or 4 P a class without share_location), scores (N x P C) and priors (1 x 2 x 4 P). Offsets
    are decoded by code_type. For each class but background_label_id, boxes with a score above confidence_threshold, the
    top_k best, stay unless they overlap a better one by more than nms_threshold; of all classes keep_top_k stay. With
    nothing found there is one row an item, its number followed by -1. Two more bottoms, arm scores and offsets, are
    RefineDet's: they move the priors first, and priors with a score below objectness_score find nothing. A fourth alone is
    the image that SSD draws on, which is left out.
    Writing files (save_output_param) and showing pictures (visualize) are left out.
    """

    num_bottom = (3, 5)
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
    )

    def setup(self, offsets, scores, priors, *arm):
        p = self.param.detection_output_param
        for name in _SYNOPSYS:
            self.need(not getattr(p, name), "detection_output_param.%s is not implemented", name)
        self.need(p.num_classes > 0, "detection_output_param needs num_classes")
        self.top_k = p.nms_param.top_k if p.nms_param.HasField("top_k") else -1
        self.least = p.confidence_threshold if p.HasField("confidence_threshold") else -np.inf
        self.classes = [c for c in range(p.num_classes) if c != p.background_label_id]

    def top_shapes(self, offsets, scores, priors, *arm):
        p = self.param.detection_output_param
        self.count = priors[2] // 4
        sets = 1 if p.share_location else p.num_classes
        self.need(
            offsets[1] == 4 * self.count * sets,
            "%d priors need %d offsets, received %s",
            self.count,
            4 * self.count * sets,
            offsets,
        )
        self.need(
            scores[1] == self.count * p.num_classes,
            "%d priors need %d scores, received %s",
            self.count,
            self.count * p.num_classes,
            scores,
        )
        return [(1, 1, 1, 7)]

    def forward(self, offsets, scores, priors, *arm):
        arrays = [x.detach().cpu().numpy() for x in (offsets, scores, priors, *arm)]
        rows = [row for item in range(len(arrays[0])) for row in self._item(item, *arrays)]
        if not rows:
            rows = [[item, *[-1.0] * 6] for item in range(len(arrays[0]))]
        return torch.tensor(rows, dtype=torch.float32, device=offsets.device)[None, None]

    def _item(self, item, offsets, scores, priors, *arm):
        p = self.param.detection_output_param
        sets = 1 if p.share_location else p.num_classes
        moves = offsets[item].reshape(self.count, sets, 4).transpose(1, 0, 2)
        corners, spread = priors[0].reshape(2, self.count, 4)
        spread = None if p.variance_encoded_in_target else spread
        values = scores[item].reshape(self.count, p.num_classes).T
        if len(arm) == 2:
            corners = _boxes.decode(arm[1][item].reshape(self.count, 4), corners, spread, p.code_type)
            quiet = arm[0][item].reshape(self.count, 2)[:, 1] < p.objectness_score
            values = np.where(quiet, 0, values)
        placed = _boxes.decode(moves, corners, spread, p.code_type)
        found = [(c, index) for c in self.classes for index in self._class(placed[0 if sets == 1 else c], values[c])]
        if -1 < p.keep_top_k < len(found):
            best = sorted(range(len(found)), key=lambda i: -values[found[i]])[: p.keep_top_k]
            found = [found[i] for i in sorted(best)]
        return [[item, c, values[c, i], *placed[0 if sets == 1 else c][i]] for c, i in found]

    def _class(self, placed, values):
        p = self.param.detection_output_param.nms_param
        order = [i for i in np.argsort(-values, kind="stable") if values[i] > self.least]
        order = order[: self.top_k] if self.top_k > -1 else order
        return [order[i] for i in _boxes.suppress(placed[order], p.nms_threshold, eta=p.eta)]

    def to_onnx(self, g, bottoms, tops):
        from caffe.layers import _detection_onnx

        p = self.param.detection_output_param
        self.need(len(bottoms) < 5, "RefineDet's two steps have no ONNX form yet; -on a layer before it leaves it out")
        self.need(p.share_location, "share_location: false has no ONNX form; -on a layer before it leaves it out")
        self.need(p.nms_param.eta == 1, "nms_param.eta has no ONNX form; -on a layer before it leaves it out")
        _detection_onnx.emit(self, g, bottoms, tops)
