"""Div compared with a loop."""

import numpy as np
from support.reference import build_error, check_layer


def reference(x, other):
    y = np.zeros((2, 3, 2, 2))
    for n, c, i, j in np.ndindex(*y.shape):
        a, b = x[n, c, i, j], other[c, 0, 0]
        y[n, c, i, j] = a / b
    return [y]


def test_axes_of_size_1_are_repeated():
    rng = np.random.default_rng(18)
    x, other = rng.uniform(0.5, 2, (2, 3, 2, 2)), rng.uniform(0.5, 2, (3, 1, 1))
    check_layer("Div", "", [x, other], reference)


def test_other_sizes_raise():
    assert "equal or 1" in build_error("Div", "", [(2, 3), (2, 2)])
