"""Log: log_base(shift + scale x)."""

import math

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError

X = np.array([[0.01, 0.5, 1], [2, 7, 100]], np.float32)


@pytest.mark.parametrize("base, scale, shift", [(-1, 1, 0), (2, 1, 0), (10, 0.5, 1.5), (0.5, 2, 0.25), (-1, 3, 0.1)])
def test_value_and_gradient(base, scale, shift):
    text = f"log_param {{ base: {base:g} scale: {scale:g} shift: {shift:g} }}"
    run = run_layer("Log", text, X, diffs=[np.full((2, 3), 3)])
    logarithm = 1 if base == -1 else math.log(base)
    y = np.array([[math.log(shift + scale * x) / logarithm for x in row] for row in X.tolist()])
    dx = np.array([[3 * scale / (shift + scale * x) / logarithm for x in row] for row in X.tolist()])
    assert np.allclose(run.tops[0], y, 1e-5, 1e-6) and np.allclose(run.diffs[0], dx, 1e-5)


@pytest.mark.parametrize("base", [0, -2, 1])
def test_invalid_bases_raise(base):
    with pytest.raises(CaffeError, match="base must be positive and not 1"):
        run_layer("Log", f"log_param {{ base: {base:g} }}", X)
