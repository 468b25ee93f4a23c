"""BNLL: log(1 + exp(x)), stable for large |x|."""

import math

import numpy as np
from support.layer_nets import run_layer

X = np.array([-200, -60, -3, -0.5, 0, 0.5, 3, 49, 51, 200], np.float32)


def test_value_and_gradient():
    run = run_layer("BNLL", "", X, diffs=[np.full(10, 2, np.float32)])
    value = [x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x)) for x in X.tolist()]
    slope = [2 / (1 + math.exp(-x)) for x in X.tolist()]
    assert np.allclose(run.tops[0], value, 1e-6, 1e-40) and np.allclose(run.diffs[0], slope, 1e-6, 1e-30)
