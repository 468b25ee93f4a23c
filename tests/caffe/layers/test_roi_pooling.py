"""ROIPooling compared with loops over bins."""

import math

import numpy as np
from support.reference import build_error, check_layer


def pooled(x, rois, rows, columns, scale):
    y = np.zeros((len(rois), x.shape[1], rows, columns))
    for r, (item, *corners) in enumerate(rois):
        left, top, right, bottom = (math.floor(corner * scale + 0.5) for corner in corners)
        height, width = max(bottom - top + 1, 1), max(right - left + 1, 1)
        for i, j in np.ndindex(rows, columns):
            ys = range(max(top + i * height // rows, 0), min(top + -(-(i + 1) * height // rows), x.shape[2]))
            xs = range(max(left + j * width // columns, 0), min(left + -(-(j + 1) * width // columns), x.shape[3]))
            for c in range(x.shape[1]):
                y[r, c, i, j] = max((x[int(item), c, a, b] for a in ys for b in xs), default=0)
    return [y]


ROIS = np.array([[0, 0, 0, 7, 9], [1, 3, 2, 10, 5], [0, 6, 6, 6, 6], [1, 8, 8, 30, 30], [0, 40, 40, 50, 50]], float)


def test_matches_a_loop_over_the_bins():
    x = np.random.default_rng(12).standard_normal((2, 2, 5, 6))
    text = "roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 }"
    check_layer("ROIPooling", text, [x, ROIS], lambda x, r: pooled(x, r, 2, 3, 0.5), fixed=(1,))


def test_regions_are_rows_of_five():
    text = "roi_pooling_param { pooled_h: 2 pooled_w: 2 }"
    assert "rows of 5" in build_error("ROIPooling", text, [(1, 2, 5, 5), (3, 4)])
