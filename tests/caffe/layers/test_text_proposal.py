"""TextProposal compared with loops over rows, columns and anchors."""

import math

import numpy as np
from support.reference import build_error, one_layer_net, run

HEIGHTS = [11, 16, 23, 33, 48, 68, 97, 139, 198, 283]


def reference(scores, offsets, height, width):
    boxes, values = [], []
    for row, column in np.ndindex(*scores.shape[2:]):
        for a, high in enumerate(HEIGHTS):
            top, bottom = (math.trunc(7.5 + sign * (high // 2)) + 16 * row for sign in (-1, 1))
            side = bottom - top + 1
            shift, growth = offsets[0, 2 * a, row, column], offsets[0, 2 * a + 1, row, column]
            h = math.exp(growth) * side
            y = shift * side + (top + bottom) / 2 - h / 2
            box = [16 * column, y, 16 * column + 15, y + h]
            boxes.append([min(max(v, 0), limit - 1) for v, limit in zip(box, (width, height, width, height))])
            values.append([scores[0, 10 + a, row, column]])
    return np.array(boxes), np.array(values)


def test_matches_loops():
    rng = np.random.default_rng(3)
    scores, offsets = rng.uniform(0, 1, (1, 20, 2, 3)), rng.standard_normal((1, 20, 2, 3)) * 0.5
    net = one_layer_net(
        "TextProposal", "proposal_param { feat_stride: 16 }", [(1, 20, 2, 3)] * 2 + [(1, 3)], tops=2, force=False
    )
    boxes, values = run(net, [scores, offsets, np.array([[30, 44, 1]])]).tops
    expected, expected_values = reference(scores, offsets, 30, 44)
    np.testing.assert_allclose(boxes, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(values, expected_values, rtol=1e-6)


def test_twenty_maps_are_required():
    assert "1 x 20 x H x W" in build_error("TextProposal", "", [(1, 18, 2, 3), (1, 18, 2, 3), (1, 3)])
