"""Transpose compared with an index map."""

import numpy as np
from support.reference import build_error, check_layer


def test_matches_a_loop_over_all_positions():
    def transposed(x):
        y = np.zeros((x.shape[3], x.shape[2], x.shape[0], x.shape[1]))
        for n, c, h, w in np.ndindex(*x.shape):
            y[w, h, n, c] = x[n, c, h, w]
        return [y]

    x = np.random.default_rng(1).standard_normal((2, 3, 2, 4))
    check_layer("Transpose", "transpose_param { dim: 3 dim: 2 dim: 0 dim: 1 }", [x], transposed)


def test_every_axis_must_be_listed():
    assert "each axis" in build_error("Transpose", "transpose_param { dim: 1 dim: 0 }", [(2, 3, 4)])
