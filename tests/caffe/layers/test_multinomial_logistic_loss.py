"""MultinomialLogisticLoss: -log of probabilities, floored at 1e-20."""

import math

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError


@pytest.mark.parametrize("shape, labels, weight", [((5, 4), (5,), None), ((3, 2, 2), (3, 1, 1), 0.5)])
def test_value_and_gradient(shape, labels, weight):
    rng = np.random.default_rng(10)
    p, label = rng.uniform(0.05, 1, shape), rng.integers(0, int(np.prod(shape[1:])), labels)
    run = run_layer("MultinomialLogisticLoss", f"loss_weight: {weight:g}" if weight else "", p, label)
    rows, loss = p.reshape(shape[0], -1), 0.0
    dp = np.zeros_like(rows)
    for n, c in enumerate(label.ravel()):
        loss -= math.log(rows[n, c])
        dp[n, c] = -(weight or 1) / rows[n, c] / shape[0]
    assert np.allclose(run.tops[0], loss / shape[0], 1e-5) and np.allclose(run.diffs[0].reshape(dp.shape), dp, 1e-4)


def test_floor():
    run = run_layer("MultinomialLogisticLoss", "", [[0.0, 1.0], [0.25, 0.75]], [0, 1])
    assert np.allclose(run.tops[0], (-math.log(1e-20) - math.log(0.75)) / 2, 1e-5)
    assert np.allclose(run.diffs[0], [[-0.5e20, 0], [0, -0.5 / 0.75]], 1e-5)


def test_invalid_inputs_raise():
    with pytest.raises(CaffeError, match="one label per item"):
        run_layer("MultinomialLogisticLoss", "", np.ones((3, 2)), np.ones((3, 2)))
    with pytest.raises(CaffeError, match="same first dimension"):
        run_layer("MultinomialLogisticLoss", "", np.ones((3, 2)), np.ones(2))
