"""BoxOutput compared with loops over items, scales and pixels."""

import math

import numpy as np
import pytest
from support.reference import build_error, one_layer_net, run
from support.regions import best

FIELDS = [(12, 8, 4), (16, 16, 8)]
TEXT = (
    "box_output_param { fg_thr: 0.2 iou_thr: 0.4 min_size: 4 field_w: [12, 16] field_h: [8, 16] downsample_rate: [4, 8] "
    "max_nms_num: 25 max_post_nms_num: 5 }"
)


def limited(value, limit):
    return min(max(value, -limit), limit)


def reference(bottoms):
    rows = []
    for n in range(len(bottoms[0])):
        found = []
        for (fw, fh, stride), maps in zip(FIELDS, bottoms):
            height, width = maps.shape[2:]
            for row, column in np.ndindex(height, width):
                values = maps[n, :, row, column]
                score = max(values[1:-4]) - values[0]
                dx, dy, dw, dh = values[-4:]
                w, h = (f * math.exp(limited(v, math.log(2))) for f, v in ((fw, dw), (fh, dh)))
                x = max(limited(dx, 0.5) * fw + (column + 0.5) * stride - w / 2, 0)
                y = max(limited(dy, 0.5) * fh + (row + 0.5) * stride - h / 2, 0)
                w, h = min(w, width * stride - x), min(h, height * stride - y)
                if score >= 0.2 and w >= 4 and h >= 4:
                    found.append((score, (x, y, x + w, y + h)))
        rows += [[n, *box, score] for score, box in best(found, 0.4, 25, 5)]
    return np.array(rows)


@pytest.mark.parametrize("items", [1, 2])
def test_matches_loops(items):
    rng = np.random.default_rng(5)
    arrays = [rng.standard_normal((items, 7, *sides)).astype(np.float32).astype(float) for sides in ((4, 5), (2, 3))]
    net = one_layer_net("BoxOutput", TEXT, [a.shape for a in arrays], tops=2, force=False)
    regions, scored = run(net, arrays).tops
    expected = reference(arrays)
    np.testing.assert_allclose(scored[..., 0, 0], expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(regions[..., 0, 0], scored[:, :5, 0, 0])


def test_errors():
    assert "one field_w, field_h and downsample_rate per bottom" in build_error("BoxOutput", TEXT, [(1, 7, 4, 5)])
    assert "N x (classes + 4) x H x W" in build_error("BoxOutput", TEXT, [(1, 5, 4, 5), (1, 7, 2, 3)])
