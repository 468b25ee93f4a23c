"""ROIWarping compared with a loop over samples."""

import math

import numpy as np
from support import bilinear_loop
from support.reference import build_error, check_layer

ROIS = np.array([[0, 0, 0, 8, 9], [1, 3, 2, 10, 5], [0, 6, 6, 4, 6], [1, 9, 9, 14, 20]], float)


def warped(x, rois, height, width, scale):
    y = np.zeros((len(rois), x.shape[1], height, width))
    for r, (item, *corners) in enumerate(rois):
        left, top, right, bottom = (math.floor(corner * scale + 0.5) for corner in corners)
        for c, i, j in np.ndindex(x.shape[1], height, width):
            row, column = top + i * max(bottom - top, 0) / height, left + j * max(right - left, 0) / width
            y[r, c, i, j] = bilinear_loop.value(x[int(item), c], row, column)
    return [y]


def test_matches_a_loop_over_the_samples():
    x = np.random.default_rng(13).standard_normal((2, 2, 5, 6))
    text = "roi_warping_param { pooled_h: 3 pooled_w: 2 spatial_scale: 0.5 }"
    check_layer("ROIWarping", text, [x, ROIS], lambda x, r: warped(x, r, 3, 2, 0.5), fixed=(1,))


def test_the_number_of_samples_is_required():
    assert "pooled_h and pooled_w" in build_error("ROIWarping", "", [(1, 2, 5, 5), (3, 5)])
