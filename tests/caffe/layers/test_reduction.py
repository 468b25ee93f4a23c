"""Reduction compared with loops over the trailing axes."""

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError

TERM = {"SUM": lambda v: v, "ASUM": abs, "SUMSQ": lambda v: v * v, "MEAN": lambda v: v}
SLOPE = {"SUM": lambda v: 1, "ASUM": np.sign, "SUMSQ": lambda v: 2 * v, "MEAN": lambda v: 1}


@pytest.mark.parametrize("operation", [None, "SUM", "ASUM", "SUMSQ", "MEAN"])
@pytest.mark.parametrize("shape, axis", [((2, 3, 4), 0), ((2, 3, 4), 1), ((2, 3, 4), -1), ((5,), 0), ((2, 3, 2, 2), 2)])
@pytest.mark.parametrize("coeff", [None, 2.5, -0.5, 0])
def test_value_and_gradient(operation, shape, axis, coeff):
    rng = np.random.default_rng(15)
    x = rng.normal(size=shape)
    x.ravel()[1] = 0
    op, cut = operation or "SUM", axis % len(shape)
    dy = rng.normal(size=shape[:cut])
    fields = (f"operation: {operation} " if operation else "") + ("" if coeff is None else f"coeff: {coeff:g}")
    text = f"reduction_param {{ axis: {axis} {fields} }}"
    run = run_layer("Reduction", text, x, diffs=[dy])
    factor = (1 if coeff is None else coeff) / (np.prod(shape[cut:]) if op == "MEAN" else 1)
    y, dx = np.zeros(shape[:cut]), np.zeros(shape)
    for i in np.ndindex(shape):
        y[i[:cut]] += factor * TERM[op](x[i])
        dx[i] = dy[i[:cut]] * factor * SLOPE[op](x[i])
    assert run.tops[0].shape == shape[:cut] and np.allclose(run.tops[0], y, 1e-4, 1e-5)
    assert np.allclose(run.diffs[0], dx, 1e-4, 1e-6)


def test_axis_out_of_range_raises():
    with pytest.raises(CaffeError, match="axis -4 is out of range"):
        run_layer("Reduction", "reduction_param { axis: -4 }", np.ones((2, 3, 4)))
