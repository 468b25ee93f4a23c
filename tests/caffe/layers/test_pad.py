"""Pad against a loop."""

import numpy as np
from support.reference import hold, refusal


def test_puts_a_constant_around():
    def padded(x):
        y = np.full((2, 3, 6), 0.5)
        for i, j, k in np.ndindex(*x.shape):
            y[i, j + 1, k + 2] = x[i, j, k]
        return [y]

    x = np.random.default_rng(19).standard_normal((2, 2, 3))
    hold("Pad", "pad_param { paddings: [0, 0, 1, 0, 2, 1] constant_values: 0.5 }", [x], padded)


def test_two_numbers_an_axis():
    assert "6 numbers" in refusal("Pad", "pad_param { paddings: [1, 1] }", [(1, 2, 3)])
