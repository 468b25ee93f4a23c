"""Mul compared with a loop."""

import numpy as np
from support.reference import build_error, check_layer


def product(x, factor):
    y = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*x.shape):
        y[n, c, i, j] = x[n, c, i, j] * factor.reshape(-1, *factor.shape[-3:])[n % (factor.size // 3), c, 0, 0]
    return [y]


def test_axes_of_size_1_are_repeated():
    rng = np.random.default_rng(18)
    x, factor = rng.standard_normal((2, 3, 2, 2)), rng.standard_normal((2, 3, 1, 1))
    check_layer("Mul", "", [x, factor], product)
    check_layer("Mul", "mul_param { mul_shape: 3 mul_shape: 1 mul_shape: 1 }", [x], product, [factor[0]])


def test_other_sizes_raise():
    assert "equal or 1" in build_error("Mul", "", [(2, 3), (2, 2)])
