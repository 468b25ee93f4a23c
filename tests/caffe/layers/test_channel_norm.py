"""ChannelNorm compared with a loop."""

import numpy as np
from support.reference import build_error, check_layer


def reference(x):
    y = np.zeros((len(x), 1, *x.shape[2:]))
    for n, i, j in np.ndindex(len(x), *x.shape[2:]):
        y[n, 0, i, j] = sum(v * v for v in x[n, :, i, j]) ** 0.5
    return [y]


def test_matches_a_loop():
    check_layer("ChannelNorm", "", [np.random.default_rng(3).standard_normal((2, 3, 2, 4))], reference)


def test_four_axes_are_required():
    assert "must have 4 axes" in build_error("ChannelNorm", "", [(2, 3)])
