"""Flip compared with a loop."""

import numpy as np
import pytest
from support.reference import check_layer


@pytest.mark.parametrize(("width", "height"), [(True, False), (False, True), (True, True), (False, False)])
def test_mirrors_the_planes(width, height):
    def flipped(x):
        y = np.zeros(x.shape)
        rows, columns = x.shape[2:]
        for n, c, i, j in np.ndindex(*x.shape):
            y[n, c, i, j] = x[n, c, rows - 1 - i if height else i, columns - 1 - j if width else j]
        return [y]

    x = np.random.default_rng(2).standard_normal((1, 2, 3, 4))
    text = f"flip_param {{ flip_width: {str(width).lower()} flip_height: {str(height).lower()} }}"
    check_layer("Flip", text, [x], flipped)
