"""EuclideanLoss: half the mean squared distance, gradients of both bottoms."""

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError


@pytest.mark.parametrize(
    "shape, other", [((4, 3), (4, 3)), ((5,), (5,)), ((2, 3, 4), (2, 12)), ((3, 1, 2, 2), (3, 4, 1, 1))]
)
@pytest.mark.parametrize("weight", [None, 2.5, 0.1])
def test_value_and_gradients(shape, other, weight):
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=shape), rng.normal(size=other)
    run = run_layer("EuclideanLoss", "" if weight is None else f"loss_weight: {weight:g}", a, b)
    difference = a.ravel() - b.ravel()
    assert run.tops[0].shape == () and np.allclose(run.tops[0], sum(difference**2) / shape[0] / 2, 1e-5)
    slope = (weight or 1) * difference / shape[0]
    assert np.allclose(run.diffs[0].ravel(), slope, 1e-4, 1e-6)
    assert run.diffs[1].shape == other and np.allclose(run.diffs[1].ravel(), -slope, 1e-4, 1e-6)


def test_top_diff_scales_the_gradient():
    run = run_layer("EuclideanLoss", "", [[1.0], [3.0]], [[0.0], [0.0]], diffs=[-4])
    assert np.allclose(run.diffs[0].ravel(), [-2, -6])


@pytest.mark.parametrize("shape, other", [((4, 3), (3, 3)), ((4, 3), (4, 2))])
def test_invalid_inputs_raise(shape, other):
    with pytest.raises(CaffeError, match="received"):
        run_layer("EuclideanLoss", "", np.ones(shape), np.ones(other))
