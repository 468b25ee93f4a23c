"""ResizeNearestNeighbor against its formula."""

import math

import numpy as np
import pytest
from support.reference import hold, refusal


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
    hold("ResizeNearestNeighbor", text, [x], resized)


def test_channels_last_is_the_default():
    x = np.random.default_rng(20).standard_normal((1, 2, 2, 3))
    text = "resize_nearest_neighbor_param { scale_height: 2 scale_width: 2 }"
    hold("ResizeNearestNeighbor", text, [x], lambda x: [x.repeat(2, 1).repeat(2, 2)])


def test_another_layout_is_refused():
    assert "NHWC or NCHW" in refusal(
        "ResizeNearestNeighbor", 'resize_nearest_neighbor_param { data_format: "CHW" }', [(1, 2, 3, 4)]
    )
