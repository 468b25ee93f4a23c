"""PSROIPooling compared with loops over bins."""

import math

import numpy as np
from support.reference import build_error, check_layer


def pooled(x, rois, size, outputs, scale):
    y = np.zeros((len(rois), outputs, size, size))
    for r, (item, *corners) in enumerate(rois):
        left, top = (math.floor(corner + 0.5) * scale for corner in corners[:2])
        right, bottom = ((math.floor(corner + 0.5) + 1) * scale for corner in corners[2:])
        height, width = max(bottom - top, 0.1) / size, max(right - left, 0.1) / size
        for c, i, j in np.ndindex(outputs, size, size):
            ys = range(max(math.floor(i * height + top), 0), min(math.ceil((i + 1) * height + top), x.shape[2]))
            xs = range(max(math.floor(j * width + left), 0), min(math.ceil((j + 1) * width + left), x.shape[3]))
            values = [x[int(item), (c * size + i) * size + j, a, b] for a in ys for b in xs]
            y[r, c, i, j] = sum(values) / len(values) if values else 0
    return [y]


ROIS = np.array([[0, 0, 0, 8, 9], [1, 3, 2, 10, 5], [0, 6, 6, 6, 6], [1, 40, 40, 50, 50]], float)


def test_matches_a_loop_over_the_bins():
    x = np.random.default_rng(13).standard_normal((2, 8, 5, 6))
    text = "psroi_pooling_param { spatial_scale: 0.5 output_dim: 2 group_size: 2 }"
    check_layer("PSROIPooling", text, [x, ROIS], lambda x, r: pooled(x, r, 2, 2, 0.5), fixed=(1,))


def test_the_channels_must_match():
    text = "psroi_pooling_param { spatial_scale: 1 output_dim: 2 group_size: 3 }"
    assert "18 channels" in build_error("PSROIPooling", text, [(1, 17, 5, 5), (3, 5)])
