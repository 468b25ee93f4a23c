"""TanH."""

import math

import numpy as np
from support.layer_nets import run_layer

X = np.array([[-90, -1, -1e-4], [0, 0.5, 90]], np.float32)


def test_value_and_gradient():
    run = run_layer("TanH", "", X, diffs=[np.full((2, 3), 4)])
    y = np.array([[math.tanh(x) for x in row] for row in X.tolist()])
    assert np.allclose(run.tops[0], y, 1e-6) and np.allclose(run.diffs[0], 4 * (1 - y * y), 1e-5, 1e-6)
