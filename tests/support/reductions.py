"""Plain loops for the tests of the Reduce layers (ReduceMax, ReduceMean ...)."""

import numpy as np
from support.reference import build_error, check_layer

CASES = [("axis: 1 axis: -1", (1, 3), False), ("axis: 2 keepdims: true", (2,), True), ("", (0, 1, 2, 3), False)]


def reduced(x, function, axes, keep):
    """Return [function of the list of values along `axes`], with these axes of size 1 or without them."""
    shape = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    y = np.zeros(shape)
    for place in np.ndindex(*shape):
        part = x[tuple(slice(None) if axis in axes else index for axis, index in enumerate(place))]
        y[place] = function(part.ravel().tolist())
    return [y if keep else y.reshape([size for axis, size in enumerate(shape) if axis not in axes])]


def check(type_, field, function, text, axes, keep):
    """Compare a layer with the loops."""
    x = np.random.default_rng(2).uniform(0.5, 1.5, (2, 2, 3, 2))
    check_layer(type_, f"{field} {{ {text} }}", [x], lambda x: reduced(x, function, axes, keep))


def check_range(type_, field):
    """Assert that an axis out of range is an error."""
    assert "axis 4 is out of range" in build_error(type_, f"{field} {{ axis: 4 }}", [(1, 2, 3)])
