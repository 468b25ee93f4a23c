"""Swish: x sigmoid(beta x)."""

import math

import numpy as np
import pytest
from support.layer_nets import run_layer

X = np.array([-30, -2, -0.5, 0, 0.5, 2, 30], np.float32)


@pytest.mark.parametrize("beta", [None, 0, 1.7, -1, 0.01])
def test_value_and_gradient(beta):
    run = run_layer("Swish", "" if beta is None else f"swish_param {{ beta: {beta:g} }}", X, diffs=[np.full(7, 3)])
    b = 1 if beta is None else beta
    gate = np.array([1 / (1 + math.exp(-b * x)) for x in X.tolist()])
    assert np.allclose(run.tops[0], X * gate, 1e-5, 1e-6)
    assert np.allclose(run.diffs[0], 3 * (gate + b * X * gate * (1 - gate)), 1e-5, 1e-6)
