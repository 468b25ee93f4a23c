"""Flatten: which axes are merged."""

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError

SETTINGS = [
    ("", (2, 60)),
    ("axis: 0", (120,)),
    ("axis: 2", (2, 3, 20)),
    ("axis: -2", (2, 3, 20)),
    ("end_axis: 2", (2, 12, 5)),
    ("axis: 0 end_axis: 1", (6, 4, 5)),
    ("axis: 1 end_axis: -3", (2, 3, 4, 5)),
    ("axis: 3", (2, 3, 4, 5)),
    ("axis: 2 end_axis: 1", (2, 3, 1, 4, 5)),
    ("axis: 1 end_axis: 0", (2, 1, 3, 4, 5)),
]


@pytest.mark.parametrize("text, shape", SETTINGS)
def test_value_and_gradient(text, shape):
    x = np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5)
    run = run_layer("Flatten", f"flatten_param {{ {text} }}", x, diffs=[-x.reshape(shape)])
    assert run.tops[0].shape == shape and np.array_equal(run.tops[0].ravel(), x.ravel())
    assert np.array_equal(run.diffs[0], -x)


def test_invalid_inputs_raise():
    with pytest.raises(CaffeError, match=r"axis \(3\) must not be after end_axis \(1\)"):
        run_layer("Flatten", "flatten_param { axis: 3 end_axis: 1 }", np.ones((1, 2, 3, 4)))
    with pytest.raises(CaffeError, match="axis 4 is out of range"):
        run_layer("Flatten", "flatten_param { axis: 4 }", np.ones((1, 2, 3, 4)))
