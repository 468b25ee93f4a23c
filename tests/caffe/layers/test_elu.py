"""ELU: alpha (exp(x) - 1) below 0; the gradient at 0 is alpha."""

import math

import numpy as np
import pytest
from support.layer_nets import run_layer

X = np.array([-100, -2, -0.1, 0, 0.1, 2, 100], np.float32)


@pytest.mark.parametrize("alpha", [1, 0.3, 0, 2.5, -0.5])
def test_value_and_gradient(alpha):
    run = run_layer("ELU", f"elu_param {{ alpha: {alpha:g} }}", X, diffs=[np.arange(1, 8)])
    y = [max(x, 0) + alpha * (math.exp(min(x, 0)) - 1) for x in X.tolist()]
    dx = [(i + 1) * (1 if x > 0 else alpha * math.exp(x)) for i, x in enumerate(X.tolist())]
    assert np.allclose(run.tops[0], y, 1e-5, 1e-6) and np.allclose(run.diffs[0], dx, 1e-5, 1e-6)


def test_default_alpha_is_one():
    assert np.allclose(run_layer("ELU", "", X).tops[0][0], -1)
