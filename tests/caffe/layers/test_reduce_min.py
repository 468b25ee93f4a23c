"""ReduceMin compared with loops."""

import numpy as np
import pytest
from support.reference import build_error, check_layer


def reduced(x, axes, keep):
    shape = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    y = np.zeros(shape)
    for place in np.ndindex(*shape):
        part = x[tuple(slice(None) if axis in axes else index for axis, index in enumerate(place))]
        values = part.ravel().tolist()
        y[place] = min(values)
    return [y if keep else y.reshape([size for axis, size in enumerate(shape) if axis not in axes])]


@pytest.mark.parametrize(
    ("text", "axes", "keep"),
    [("axis: 1 axis: -1", (1, 3), False), ("axis: 2 keepdims: true", (2,), True), ("", (0, 1, 2, 3), False)],
)
def test_matches_loops(text, axes, keep):
    x = np.random.default_rng(2).uniform(0.5, 1.5, (2, 2, 3, 2))
    check_layer("ReduceMin", f"reduce_min_param {{ {text} }}", [x], lambda x: reduced(x, axes, keep))


def test_an_axis_out_of_range_is_an_error():
    assert "axis 4 is out of range" in build_error("ReduceMin", "reduce_min_param { axis: 4 }", [(1, 2, 3)])
