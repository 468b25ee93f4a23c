"""Permute against an index map."""

import numpy as np
from support.reference import hold, refusal


def test_equals_a_loop_over_all_places():
    def permuted(x):
        y = np.zeros((x.shape[0], x.shape[2], x.shape[3], x.shape[1]))
        for n, c, h, w in np.ndindex(*x.shape):
            y[n, h, w, c] = x[n, c, h, w]
        return [y]

    x = np.random.default_rng(1).standard_normal((2, 3, 2, 4))
    hold("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }", [x], permuted)
    hold("Permute", "permute_param { order: 0 order: 2 order: 3 }", [x], permuted)  # the rest follows


def test_an_axis_twice_is_refused():
    assert "different axes" in refusal("Permute", "permute_param { order: 1 order: 1 }", [(2, 3)])
