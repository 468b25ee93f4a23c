"""Proposal compared with the steps of py-faster-rcnn."""

import numpy as np
from support.reference import assert_close, build_error, one_layer_net, run

from caffe.layers.proposal import base_anchors

# The table in the comment of py-faster-rcnn's generate_anchors.py, of which anchors count pixels from 1 in MATLAB.
PUBLISHED = np.array(
    [
        [-84, -40, 99, 55], [-176, -88, 191, 103], [-360, -184, 375, 199], [-56, -56, 71, 71], [-120, -120, 135, 135],
        [-248, -248, 263, 263], [-36, -80, 51, 95], [-80, -168, 95, 183], [-168, -344, 183, 359],
    ]
)  # fmt: skip


def test_anchors_are_the_published_ones():
    assert np.array_equal(base_anchors(16, [0.5, 1, 2], [8, 16, 32]), PUBLISHED)


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    shared = max(0, width) * max(0, height)
    areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return shared / (sum(areas) - shared)


def proposals(scores, offsets, info, anchors, stride, least, before, after, threshold):
    height, width, scale = info
    count, found = len(anchors), []
    for i, j, a in np.ndindex(scores.shape[2], scores.shape[3], count):
        x1, y1, x2, y2 = anchors[a] + np.array([j, i, j, i]) * stride
        w, h = x2 - x1 + 1, y2 - y1 + 1
        dx, dy, dw, dh = offsets[0, 4 * a : 4 * a + 4, i, j]
        x, y, w, h = x1 + 0.5 * w + dx * w, y1 + 0.5 * h + dy * h, w * np.exp(dw), h * np.exp(dh)
        box = np.clip([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 0, [width - 1, height - 1] * 2)
        if box[2] - box[0] + 1 >= least * scale and box[3] - box[1] + 1 >= least * scale:
            found.append((scores[0, count + a, i, j], box))
    found.sort(key=lambda pair: -pair[0])
    kept = []
    for score, box in found[:before]:
        if all(overlap(box, other) <= threshold for _, other in kept):
            kept.append((score, box))
    return kept[:after]


def test_matches_the_steps():
    rng = np.random.default_rng(15)
    scores, offsets = rng.uniform(0, 1, (1, 12, 4, 5)), rng.standard_normal((1, 24, 4, 5)) * 0.5
    info = np.array([[60.0, 76.0, 1.5]])
    text = (
        "proposal_param { base_size: 8 feat_stride: 16 min_size: 6 ratio: 0.5 ratio: 1 scale: 1 scale: 2 scale: 4 "
        "pre_nms_topn: 60 post_nms_topn: 20 nms_thresh: 0.6 }"
    )
    shapes = [scores.shape, offsets.shape, info.shape]
    result = run(one_layer_net("Proposal", text, shapes, tops=2, force=False), [scores, offsets, info])
    anchors = base_anchors(8, [0.5, 1], [1, 2, 4])
    expected = proposals(scores, offsets, info[0], anchors, 16, 6, 60, 20, 0.6)
    assert len(expected) > 5
    assert_close(result.tops[0], [[0, *box] for _, box in expected], "regions")
    assert_close(result.tops[1], [score for score, _ in expected], "scores")


def test_channels_must_match_the_anchors():
    shapes = [(1, 18, 2, 2), (1, 24, 2, 2), (1, 3)]
    assert "for 9 anchors" in build_error("Proposal", "proposal_param { feat_stride: 16 }", shapes)
