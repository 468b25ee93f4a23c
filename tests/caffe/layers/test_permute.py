"""Permute compared with an index map."""

import numpy as np
from support.reference import build_error, check_layer


def test_matches_a_loop_over_all_positions():
    def permuted(x):
        y = np.zeros((x.shape[0], x.shape[2], x.shape[3], x.shape[1]))
        for n, c, h, w in np.ndindex(*x.shape):
            y[n, h, w, c] = x[n, c, h, w]
        return [y]

    x = np.random.default_rng(1).standard_normal((2, 3, 2, 4))
    check_layer("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }", [x], permuted)
    check_layer("Permute", "permute_param { order: 0 order: 2 order: 3 }", [x], permuted)  # the other axes follow


def test_repeated_axis_raises():
    assert "different axes" in build_error("Permute", "permute_param { order: 1 order: 1 }", [(2, 3)])
