"""Reverse compared with a loop."""

import numpy as np
import pytest
from support.reference import check_layer


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_reverses_the_order(axis):
    def reversed_(x):
        y = np.zeros(x.shape)
        for place in np.ndindex(*x.shape):
            other = list(place)
            other[axis] = x.shape[axis] - 1 - place[axis]
            y[place] = x[tuple(other)]
        return [y]

    x = np.random.default_rng(2).standard_normal((3, 4, 2))
    check_layer("Reverse", f"reverse_param {{ axis: {axis} }}", [x], reversed_)
