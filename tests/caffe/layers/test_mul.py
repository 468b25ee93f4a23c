"""Mul against a loop."""

import numpy as np
from support.reference import hold, refusal


def product(x, factor):
    y = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*x.shape):
        y[n, c, i, j] = x[n, c, i, j] * factor.reshape(-1, *factor.shape[-3:])[n % (factor.size // 3), c, 0, 0]
    return [y]


def test_extents_of_one_repeat():
    rng = np.random.default_rng(18)
    x, factor = rng.standard_normal((2, 3, 2, 2)), rng.standard_normal((2, 3, 1, 1))
    hold("Mul", "", [x, factor], product)
    hold("Mul", "mul_param { mul_shape: 3 mul_shape: 1 mul_shape: 1 }", [x], product, [factor[0]])


def test_other_extents_are_refused():
    assert "equal or 1" in refusal("Mul", "", [(2, 3), (2, 2)])
