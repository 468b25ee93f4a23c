"""Softmax along any axis, without overflow."""

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError

RNG = np.random.default_rng(0)


def softmax(row):
    powers = np.exp(row - row.max())
    return powers / powers.sum()


@pytest.mark.parametrize(
    "shape, axis", [((3, 5), 1), ((2, 3, 4, 2), 1), ((2, 3, 4), 2), ((4, 3), 0), ((2, 3, 4), -2), ((4,), 0)]
)
@pytest.mark.parametrize("scale", [1, 300])
def test_value_and_gradient(shape, axis, scale):
    x, dy = RNG.normal(0, scale, shape).astype(np.float32), RNG.normal(0, 1, shape).astype(np.float32)
    run = run_layer("Softmax", f"softmax_param {{ axis: {axis} }}", x, diffs=[dy])
    y, dx = np.zeros(shape), np.zeros(shape)
    rows = np.moveaxis(x.astype(np.float64), axis, -1)
    for i in np.ndindex(rows.shape[:-1]):
        row = softmax(rows[i])
        grad = np.moveaxis(dy, axis, -1)[i]
        np.moveaxis(y, axis, -1)[i] = row
        np.moveaxis(dx, axis, -1)[i] = [row[j] * (grad[j] - sum(grad * row)) for j in range(len(row))]
    assert np.allclose(run.tops[0], y, 1e-4, 1e-6) and np.allclose(run.diffs[0], dx, 1e-4, 1e-6)


def test_axis_out_of_range_raises():
    with pytest.raises(CaffeError, match="axis 2 is out of range"):
        run_layer("Softmax", "softmax_param { axis: 2 }", np.ones((2, 3)))
