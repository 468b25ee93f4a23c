"""Exp: base ^ (shift + scale x)."""

import math

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError

X = np.array([[-2, -0.5, 0], [0.3, 1, 2]], np.float32)
SETTINGS = [(-1, 1, 0), (2, 1, 0), (10, 0.5, -1), (0.5, -2, 0.25), (-1, 1.5, -0.5), (1, 3, 3), (3, 0, 2)]


@pytest.mark.parametrize("base, scale, shift", SETTINGS)
def test_value_and_gradient(base, scale, shift):
    text = f"exp_param {{ base: {base:g} scale: {scale:g} shift: {shift:g} }}"
    run = run_layer("Exp", text, X, diffs=[np.full((2, 3), -2)])
    b = math.e if base == -1 else base
    y = np.array([[b ** (shift + scale * x) for x in row] for row in X.tolist()])
    assert np.allclose(run.tops[0], y, 1e-5)
    assert np.allclose(run.diffs[0], -2 * y * scale * math.log(b), 1e-5, 1e-6)


@pytest.mark.parametrize("base", [0, -2, -0.5])
def test_invalid_bases_raise(base):
    with pytest.raises(CaffeError, match="base must be positive"):
        run_layer("Exp", f"exp_param {{ base: {base:g} }}", X)
