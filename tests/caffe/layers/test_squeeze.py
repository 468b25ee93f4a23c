"""Squeeze keeps the values in their order."""

import numpy as np
from support.reference import build_error, check_layer


def test_removes_axes_of_size_1():
    x = np.random.default_rng(3).standard_normal((2, 1, 3, 1))
    check_layer("Squeeze", "squeeze_param { axis: 1 }", [x], lambda x: [x[:, 0]])
    check_layer("Squeeze", "squeeze_param { axis: -1 axis: 1 }", [x], lambda x: [x[:, 0, :, 0]])
    check_layer("Squeeze", "", [x], lambda x: [x[:, 0, :, 0]])


def test_other_size_raises():
    assert "must have size 1" in build_error("Squeeze", "squeeze_param { axis: 0 }", [(2, 1)])
