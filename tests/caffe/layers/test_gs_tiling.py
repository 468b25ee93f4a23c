"""GSTiling compared with a loop over pixels."""

import numpy as np
from support.reference import build_error, check_layer


def tiled(x, stride, reverse):
    n, c, h, w = x.shape
    if reverse:
        y = np.zeros((n, c // stride**2, h * stride, w * stride))
        for i, j, row, column in np.ndindex(n, c, h, w):
            block, channel = divmod(j, c // stride**2)
            y[i, channel, row * stride + block // stride, column * stride + block % stride] = x[i, j, row, column]
        return [y]
    y = np.zeros((n, c * stride**2, h // stride, w // stride))
    for i, j, row, column in np.ndindex(n, c, h, w):
        block = (row % stride) * stride + column % stride
        y[i, block * c + j, row // stride, column // stride] = x[i, j, row, column]
    return [y]


def test_matches_a_loop_over_the_pixels():
    x = np.random.default_rng(1).standard_normal((2, 8, 4, 2))
    check_layer("GSTiling", "gs_tiling_param { stride: 2 }", [x], lambda x: tiled(x, 2, False))
    check_layer("GSTiling", "gs_tiling_param { stride: 2 reverse: true }", [x], lambda x: tiled(x, 2, True))


def test_the_stride_must_fit():
    assert "does not fit" in build_error("GSTiling", "gs_tiling_param { stride: 2 reverse: true }", [(1, 6, 2, 2)])
    assert "does not fit" in build_error("GSTiling", "gs_tiling_param { stride: 2 }", [(1, 4, 3, 2)])
