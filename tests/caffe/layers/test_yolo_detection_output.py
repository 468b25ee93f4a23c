"""YoloDetectionOutput compared with YOLOv2's formulas, cell by cell."""

import math

import numpy as np
from support.reference import assert_close, build_error, one_layer_net, run
from support.yolo_rows import rows, sigmoid

ANCHORS = [(0.7, 0.9), (2.4, 2.6)]


def candidates(x, classes, least):
    for i, j, a in np.ndindex(*x.shape[2:], len(ANCHORS)):
        t = x[0, a * (5 + classes) : (a + 1) * (5 + classes), i, j]
        likely = np.exp(t[5:]) / np.exp(t[5:]).sum()
        score = sigmoid(t[4]) * likely.max()
        if score >= least:
            size = x.shape[3]
            box = [(j + sigmoid(t[0])) / size, (i + sigmoid(t[1])) / size]
            yield score, likely.argmax() + 1, (*box, *(math.exp(e) * n / size for e, n in zip(t[2:4], ANCHORS[a])))


TEXT = "num_classes: 3 num_box: 2 biases: [0.7, 0.9, 2.4, 2.6] confidence_threshold: 0.25 nms_threshold: 0.4"


def test_matches_the_formulas():
    bottoms = list(np.random.default_rng(22).standard_normal((2, 1, 16, 3, 3)))
    text = f"yolo_detection_output_param {{ {TEXT} }}"
    net = one_layer_net("YoloDetectionOutput", text, [b.shape for b in bottoms], force=False)
    expected = rows([c for b in bottoms for c in candidates(b, 3, 0.25)], 0.4)
    assert expected.shape[2] > 3
    assert_close(run(net, bottoms).tops[0], expected, "rows")


def test_no_detections():
    net = one_layer_net(
        "YoloDetectionOutput", f"yolo_detection_output_param {{ {TEXT} }}", [(1, 16, 2, 2)], force=False
    )
    assert run(net, [np.full((1, 16, 2, 2), -9.0)]).tops[0].tolist() == [[[[0, *[-1] * 6]]]]


def test_channels_must_match():
    assert "1 x 16" in build_error("YoloDetectionOutput", f"yolo_detection_output_param {{ {TEXT} }}", [(1, 15, 2, 2)])
