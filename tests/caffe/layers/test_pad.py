"""Pad compared with a loop."""

import numpy as np
from support.reference import build_error, check_layer


def test_pads_with_a_constant():
    def padded(x):
        y = np.full((2, 3, 6), 0.5)
        for i, j, k in np.ndindex(*x.shape):
            y[i, j + 1, k + 2] = x[i, j, k]
        return [y]

    x = np.random.default_rng(19).standard_normal((2, 2, 3))
    check_layer("Pad", "pad_param { paddings: [0, 0, 1, 0, 2, 1] constant_values: 0.5 }", [x], padded)


def test_needs_two_values_per_axis():
    assert "expected 6 paddings" in build_error("Pad", "pad_param { paddings: [1, 1] }", [(1, 2, 3)])
