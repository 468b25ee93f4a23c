"""BoxGroupOutput compared with loops over items, scales, fields and pixels."""

import math

import numpy as np
import pytest
from support.reference import build_error, one_layer_net, run
from support.regions import best

MEAN, STD = [0.1, -0.1, 0, 0.05], [0.4, 0.3, 0.5, 0.5]
SCALES = [([(8, 12), (12, 8)], 4), ([(16, 16)], 8)]
TEXT = (
    "box_group_output_param { fg_thr: 0.3 iou_thr: 0.5 min_size: 5 field_whr: 2 field_xyr: 4 "
    "box_group_param { field_w: [8, 12] field_h: [12, 8] stride: 4 } box_group_param { field_w: 16 field_h: 16 stride: 8 } "
    "max_nms_num: 30 max_post_nms_num: 6 } "
    "bbox_reg_param { bbox_mean: [0.1, -0.1, 0, 0.05] bbox_std: [0.4, 0.3, 0.5, 0.5] }"
)


def limited(value, limit):
    return min(max(value, -limit), limit)


def reference(bottoms, items, first=30, last=6):
    rows = []
    for n in range(items):
        found = []
        for (fields, stride), scores, offsets in zip(SCALES, bottoms[::2], bottoms[1::2]):
            height, width = scores.shape[2:]
            for k, row, column in np.ndindex(len(fields), height, width):
                map_ = n * len(fields) + k
                score = 1 - scores[map_, 0, row, column]
                values = [offsets[map_, i, row, column] * STD[i] + MEAN[i] for i in range(4)]
                fw, fh = fields[k]
                w, h = (f * math.exp(limited(v, math.log(2))) for f, v in zip((fw, fh), values[2:]))
                x = limited(values[0], 0.25) * fw + (column + 0.5) * stride - w / 2
                y = limited(values[1], 0.25) * fh + (row + 0.5) * stride - h / 2
                x1, y1 = max(x, 0), max(y, 0)
                x2, y2 = min(x + w - 1, width * stride), min(y + h - 1, height * stride)
                if score >= 0.3 and x2 - x1 + 1 >= 5 and y2 - y1 + 1 >= 5:
                    found.append((score, (x1, y1, x2 + 1, y2 + 1)))
        for score, (x1, y1, x2, y2) in best(found, 0.5, first, last):
            rows.append([n, x1, y1, x2 - 1, y2 - 1, score])
    return np.array(rows)


def bottoms(items, seed=7):
    rng = np.random.default_rng(seed)
    shapes = [(items * 2, 2, 4, 5), (items * 2, 4, 4, 5), (items, 2, 2, 3), (items, 4, 2, 3)]
    return [
        (rng.uniform(0, 1, s) if i % 2 == 0 else rng.standard_normal(s)).astype(np.float32).astype(float)
        for i, s in enumerate(shapes)
    ]


@pytest.mark.parametrize("items", [1, 2])
def test_matches_loops(items):
    arrays = bottoms(items)
    net = one_layer_net("BoxGroupOutput", TEXT, [a.shape for a in arrays], tops=2, force=False)
    regions, scored = run(net, arrays).tops
    expected = reference(arrays, items)
    assert len(expected) > 5 * items - 1
    assert scored.shape == (len(expected), 6, 1, 1)
    np.testing.assert_allclose(scored[..., 0, 0], expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(regions[..., 0, 0], scored[:, :5, 0, 0])


def test_without_regions_there_is_one_row():
    arrays = bottoms(1)
    net = one_layer_net(
        "BoxGroupOutput", TEXT.replace("fg_thr: 0.3", "fg_thr: 2"), [a.shape for a in arrays], force=False
    )
    assert run(net, arrays).tops[0].ravel().tolist() == [0, 1, 1, 10, 10]


def test_errors():
    shapes = [a.shape for a in bottoms(1)]
    assert "two bottoms per box_group_param (4), received 2" in build_error("BoxGroupOutput", TEXT, shapes[:2])
    assert "do not fit 2 fields" in build_error("BoxGroupOutput", TEXT, [(3, 2, 4, 5), (3, 4, 4, 5), *shapes[2:]])
    text = TEXT.replace("fg_thr", 'nms_type: "IOMU" fg_thr')
    assert "nms_type must be IOU" in build_error("BoxGroupOutput", text, shapes)
    text = TEXT.replace("bbox_std: [0.4, ", "bbox_std: [0, ")
    assert "4 positive deviations" in build_error("BoxGroupOutput", text, shapes)
