"""HingeLoss, L1 and L2, compared with a loop over classes."""

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError


@pytest.mark.parametrize("norm", [None, "L1", "L2"])
@pytest.mark.parametrize("shape, weight", [((6, 4), None), ((3, 2, 2, 2), 0.5)])
def test_value_and_gradient(norm, shape, weight):
    rng = np.random.default_rng(9)
    x = rng.normal(0, 1.5, shape)
    x.ravel()[:2] = -1, 1  # on the edge of the margin
    label = rng.integers(0, x[0].size, shape[0])
    text = (f"hinge_loss_param {{ norm: {norm} }} " if norm else "") + (f"loss_weight: {weight:g}" if weight else "")
    run = run_layer("HingeLoss", text, x, label)
    rows, loss = x.reshape(shape[0], -1), 0.0
    dx = np.zeros_like(rows)
    for n in range(len(rows)):
        for c in range(rows.shape[1]):
            sign = -1 if c == label[n] else 1
            margin = max(0, 1 + sign * rows[n, c])
            loss += margin**2 if norm == "L2" else margin
            dx[n, c] = sign * (2 * margin if norm == "L2" else margin > 0)
    assert np.allclose(run.tops[0], loss / shape[0], 1e-5)
    assert np.allclose(run.diffs[0].reshape(dx.shape), (weight or 1) * dx / shape[0], 1e-4, 1e-6)


def test_invalid_inputs_raise():
    with pytest.raises(CaffeError, match="one label per item"):
        run_layer("HingeLoss", "", np.ones((3, 2)), np.ones((3, 2)))
    with pytest.raises(CaffeError, match="label 2 is outside 0 .. 1"):
        run_layer("HingeLoss", "", np.ones((3, 2)), [0, 1, 2])
