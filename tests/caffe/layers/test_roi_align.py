"""ROIAlign compared with loops over the points."""

import math

import numpy as np
import pytest
from support.reference import build_error, check_layer


def bilinear(plane, y, x):
    """Interpolate a plane; y and x are clamped to it."""
    rows, columns = plane.shape
    y, x = min(max(y, 0), rows - 1), min(max(x, 0), columns - 1)
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
    fy, fx = y - top, x - left
    upper = plane[top, left] * (1 - fx) + plane[top, right] * fx
    lower = plane[bottom, left] * (1 - fx) + plane[bottom, right] * fx
    return upper * (1 - fy) + lower * fy


def corners_of_bins(x, rois, rows, columns, scale, pad):
    """Cascade R-CNN's values at the corners of the bins."""
    height, width = x.shape[2:]
    y = np.zeros((len(rois), x.shape[1], rows + 1, columns + 1))
    for r, (item, x1, y1, x2, y2) in enumerate(rois):
        px, py = (x2 - x1 + 1) * pad, (y2 - y1 + 1) * pad
        left, top = (x1 - px) * scale - 0.5, (y1 - py) * scale - 0.5
        wide, high = (x2 + px) * scale - 0.5 - left, (y2 + py) * scale - 0.5 - top
        for c, i, j in np.ndindex(x.shape[1], rows + 1, columns + 1):
            py_, px_ = top + i * high / rows, left + j * wide / columns
            outside = not (-0.5 <= py_ <= height - 0.5 and -0.5 <= px_ <= width - 0.5)
            if high > 0 and wide > 0 and not outside:
                y[r, c, i, j] = bilinear(x[int(item), c], py_, px_)
    return [y]


def means_of_bins(x, rois, rows, columns, scale, count):
    """Mask R-CNN's means of count x count points in each bin."""
    height, width = x.shape[2:]
    y = np.zeros((len(rois), x.shape[1], rows, columns))
    for r, (item, x1, y1, x2, y2) in enumerate(rois):
        high, wide = max((y2 - y1) * scale, 1) / rows, max((x2 - x1) * scale, 1) / columns
        for c, i, j in np.ndindex(x.shape[1], rows, columns):
            for a, b in np.ndindex(count, count):
                py = y1 * scale + (i + (a + 0.5) / count) * high
                px = x1 * scale + (j + (b + 0.5) / count) * wide
                if -1 <= py <= height and -1 <= px <= width:
                    y[r, c, i, j] += bilinear(x[int(item), c], py, px) / count**2
    return [y]


ROIS = np.array([[0, 0, 0, 7, 9], [1, 3, 2, 10, 5], [0, 6, 6, 6.3, 6], [1, -4, 4.5, 30, 30], [0, 9, 9, 4, 4]])


@pytest.mark.parametrize("pad", [0.0, 0.25])
def test_corners_of_bins(pad):
    x = np.random.default_rng(12).standard_normal((2, 2, 5, 6))
    text = f"roi_pooling_param {{ pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 pad_ratio: {pad} }}"
    check_layer("ROIAlign", text, [x, ROIS], lambda x, r: corners_of_bins(x, r, 2, 3, 0.5, pad), fixed=(1,))


@pytest.mark.parametrize("count", [1, 2])
def test_means_of_bins(count):
    x = np.random.default_rng(12).standard_normal((2, 2, 5, 6))
    text = f"roi_align_param {{ pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 sampling_ratio: {count} }}"
    check_layer("ROIAlign", text, [x, ROIS[:4]], lambda x, r: means_of_bins(x, r, 2, 3, 0.5, count), fixed=(1,))


def test_errors():
    text = "roi_align_param { pooled_h: 2 pooled_w: 2 }"
    assert "without a sampling_ratio" in build_error("ROIAlign", text, [(1, 2, 5, 5), (3, 5)])
    text = "roi_pooling_param { pooled_h: 2 pooled_w: 2 }"
    assert "rows of 5" in build_error("ROIAlign", text, [(1, 2, 5, 5), (3, 4)])
