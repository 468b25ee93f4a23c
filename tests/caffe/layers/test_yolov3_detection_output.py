"""Yolov3DetectionOutput compared with YOLOv3's formulas, cell by cell."""

import math

import numpy as np
from support.reference import assert_close, build_error, one_layer_net, run
from support.yolo_rows import rows, sigmoid

BIASES = [(7, 9), (12, 14), (20, 25), (30, 32)]
MASKS = [(2, 3), (0, 1)]
TEXT = (
    "yolov3_detection_output_param { num_classes: 2 num_box: 2 mask_group_num: 2 mask: [2, 3, 0, 1] "
    "anchors_scale: [16, 8] biases: [7, 9, 12, 14, 20, 25, 30, 32] confidence_threshold: 0.3 nms_threshold: 0.4 }"
)


def candidates(x, mask, stride):
    height, width = x.shape[2:]
    for i, j, a in np.ndindex(height, width, 2):
        t = x[0, 7 * a : 7 * a + 7, i, j]
        anchor = BIASES[mask[a]]
        box = [(j + sigmoid(t[0])) / width, (i + sigmoid(t[1])) / height]
        box += [math.exp(t[2]) * anchor[0] / (width * stride), math.exp(t[3]) * anchor[1] / (height * stride)]
        for c in range(2):
            score = sigmoid(t[4]) * sigmoid(t[5 + c])
            if score > 0.3:
                yield score, c + 1, tuple(box)


def test_matches_the_formulas():
    rng = np.random.default_rng(23)
    bottoms = [rng.standard_normal((1, 14, 2, 3)), rng.standard_normal((1, 14, 4, 6))]
    net = one_layer_net("Yolov3DetectionOutput", TEXT, [b.shape for b in bottoms], force=False)
    found = [c for b, mask, stride in zip(bottoms, MASKS, (16, 8)) for c in candidates(b, mask, stride)]
    assert_close(run(net, bottoms).tops[0], rows(found, 0.4), "rows")


def test_bottoms_must_match_the_masks():
    assert "mask group" in build_error("Yolov3DetectionOutput", TEXT, [(1, 14, 2, 2)])
