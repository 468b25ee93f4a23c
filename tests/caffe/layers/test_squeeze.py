"""Squeeze keeps the values in their order."""

import numpy as np
from support.reference import hold, refusal


def test_takes_out_axes_of_one():
    x = np.random.default_rng(3).standard_normal((2, 1, 3, 1))
    hold("Squeeze", "squeeze_param { axis: 1 }", [x], lambda x: [x[:, 0]])
    hold("Squeeze", "squeeze_param { axis: -1 axis: 1 }", [x], lambda x: [x[:, 0, :, 0]])
    hold("Squeeze", "", [x], lambda x: [x[:, 0, :, 0]])


def test_another_extent_is_refused():
    assert "must be 1" in refusal("Squeeze", "squeeze_param { axis: 0 }", [(2, 1)])
