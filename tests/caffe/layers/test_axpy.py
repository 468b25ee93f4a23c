"""Axpy compared with a loop."""

import numpy as np
import pytest
from support.reference import check_layer


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (2, 3)])
def test_scales_each_plane_and_adds(shape):
    def axpy(a, x, b):
        y = np.zeros(x.shape)
        for n, c in np.ndindex(*x.shape[:2]):
            y[n, c] = a[n, c].item() * x[n, c] + b[n, c]
        return [y]

    rng = np.random.default_rng(6)
    check_layer("Axpy", "", [rng.standard_normal(s) for s in (shape, (2, 3, 2, 3), (2, 3, 2, 3))], axpy)
