"""Correlation1D compared with loops over positions and displacements."""

import numpy as np
import pytest
from support.reference import check_layer


@pytest.mark.parametrize("direction, moves", [(0, [-2, -1, 0, 1, 2]), (1, [0, 1, 2]), (-1, [-3, -2, -1])])
def test_matches_loops(direction, moves):
    def correlated(a, b):
        y = np.zeros((1, len(moves), *a.shape[2:]))
        for (c, dx), i, j in ((m, i, j) for m in enumerate(moves) for i, j in np.ndindex(*a.shape[2:])):
            if 0 <= j + dx < a.shape[3]:
                y[0, c, i, j] = np.mean(a[0, :, i, j] * b[0, :, i, j + dx])
        return [y]

    a, b = np.random.default_rng(7).standard_normal((2, 1, 2, 2, 5))
    text = f"correlation_param {{ pad: 2 kernel_size: 1 max_displacement: 2 single_direction: {direction} }}"
    check_layer("Correlation1D", text, [a, b], correlated)
