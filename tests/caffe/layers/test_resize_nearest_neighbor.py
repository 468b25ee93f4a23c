"""ResizeNearestNeighbor compared with its formula."""

import math

import numpy as np
import pytest
from support.reference import build_error, check_layer


@pytest.mark.parametrize(
    ("flag", "place"),
    [
        ("", lambda i, size, out: math.floor(i * size / out)),
        ("half_pixel_centers: true", lambda i, size, out: min(math.floor((i + 0.5) * size / out), size - 1)),
        ("align_corners: true", lambda i, size, out: math.floor(i * (size - 1) / (out - 1) + 0.5)),
    ],
)
def test_takes_the_pixel_of_the_formula(flag, place):
    def resized(x):
        y = np.zeros((*x.shape[:2], 5, 7))
        for i, j in np.ndindex(5, 7):
            y[:, :, i, j] = x[:, :, place(i, 3, 5), place(j, 4, 7)]
        return [y]

    x = np.random.default_rng(20).standard_normal((1, 2, 3, 4))
    text = f'resize_nearest_neighbor_param {{ output_height: 5 output_width: 7 data_format: "NCHW" {flag} }}'
    check_layer("ResizeNearestNeighbor", text, [x], resized)


def test_channels_last_is_the_default():
    x = np.random.default_rng(20).standard_normal((1, 2, 2, 3))
    text = "resize_nearest_neighbor_param { scale_height: 2 scale_width: 2 }"
    check_layer("ResizeNearestNeighbor", text, [x], lambda x: [x.repeat(2, 1).repeat(2, 2)])


def test_unknown_layout_raises():
    assert "NHWC or NCHW" in build_error(
        "ResizeNearestNeighbor", 'resize_nearest_neighbor_param { data_format: "CHW" }', [(1, 2, 3, 4)]
    )
