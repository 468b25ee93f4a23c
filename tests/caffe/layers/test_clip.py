"""Clip: the gradient includes both bounds; the order of max and min."""

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError

X = np.array([-3, -1, -0.5, 0, 0.25, 2, 2.5], np.float32)


@pytest.mark.parametrize("low, high", [(-1, 2), (0, 6), (0.25, 0.25), (-9, 9)])
def test_value_and_gradient(low, high):
    run = run_layer("Clip", f"clip_param {{ min: {low:g} max: {high:g} }}", X, diffs=[np.arange(1, 8)])
    assert np.array_equal(run.tops[0], [max(low, min(x, high)) for x in X])
    assert np.array_equal(run.diffs[0], [i + 1 if low <= x <= high else 0 for i, x in enumerate(X)])


def test_min_above_max_returns_min():
    run = run_layer("Clip", "clip_param { min: 1 max: -1 }", X, diffs=[np.ones(7)])
    assert (run.tops[0] == 1).all() and (run.diffs[0] == 0).all()


def test_missing_bound_raises():
    with pytest.raises(CaffeError):
        run_layer("Clip", "clip_param { min: 1 }", X)
