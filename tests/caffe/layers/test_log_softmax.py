"""LogSoftmax compared with its definition."""

import numpy as np
from support.reference import build_error, check_layer


def reference(x):
    y = np.zeros(x.shape)
    for n, i in np.ndindex(x.shape[0], x.shape[2]):
        y[n, :, i] = x[n, :, i] - np.log(np.exp(x[n, :, i]).sum())
    return [y]


def test_matches_the_definition():
    x = np.random.default_rng(3).standard_normal((2, 4, 3)) * 3
    check_layer("LogSoftmax", "", [x], reference)
    check_layer("LogSoftmax", "log_softmax_param { axis: -2 }", [x], reference)


def test_an_axis_out_of_range_is_an_error():
    assert "axis 3 is out of range" in build_error("LogSoftmax", "log_softmax_param { axis: 3 }", [(1, 2, 3)])
