"""DecodeBBox compared with its formula."""

import math

import numpy as np
from support.reference import build_error, one_layer_net, run

import caffe

TEXT = "bbox_reg_param { bbox_mean: [0.1, 0, 0, 0.2] bbox_std: [0.1, 0.1, 0.2, 0.2] } decode_bbox_param { gt_iou_thr: 0.8 }"
MEAN, STD = (0.1, 0, 0, 0.2), (0.1, 0.1, 0.2, 0.2)
REGIONS = np.array([[0, 2, 3, 10, 9], [1, 0, 0, 4, 30], [1, 5.5, 2, 8, 8]])


def reference(offsets, regions):
    rows = []
    for values, (item, x1, y1, x2, y2) in zip(offsets, regions):
        dx, dy, dw, dh = (v * s + m for v, s, m in zip(values[4:], STD, MEAN))
        w, h = (x2 - x1 + 1) * math.exp(dw), (y2 - y1 + 1) * math.exp(dh)
        cx, cy = dx * (x2 - x1 + 1) + (x1 + x2) / 2, dy * (y2 - y1 + 1) + (y1 + y2) / 2
        left, top = cx - (w - 1) / 2, cy - (h - 1) / 2
        rows.append([item, left, top, left + w - 1, top + h - 1])
    return np.array(rows)


def test_matches_the_formula():
    offsets = np.random.default_rng(3).standard_normal((3, 8)).astype(np.float32).astype(float)
    net = one_layer_net("DecodeBBox", TEXT, [(3, 8, 1, 1), (3, 5, 1, 1)], force=False)
    received = run(net, [offsets[..., None, None], REGIONS[..., None, None]]).tops[0]
    assert received.shape == (3, 5, 1, 1)
    np.testing.assert_allclose(received[..., 0, 0], reference(offsets, REGIONS), rtol=1e-5, atol=1e-5)


def test_training_removes_boxes():
    offsets = np.zeros((3, 8))
    offsets[1, 6] = -30  # no width
    matched = np.array([[0, 0.9], [0, 0.1], [0, 0.7]])  # the first overlaps its box too well
    net = one_layer_net("DecodeBBox", TEXT, [(3, 8), (3, 5), (3, 2)], phase=caffe.TRAIN, force=False)
    received = run(net, [offsets, REGIONS, matched]).tops[0]
    np.testing.assert_allclose(received, reference(offsets, REGIONS)[2:], rtol=1e-5)


def test_errors():
    assert "n x 8 offsets" in build_error("DecodeBBox", TEXT, [(3, 4), (3, 5)])
    assert "for TRAIN only" in build_error("DecodeBBox", TEXT, [(3, 8), (3, 5), (3, 2)])
