"""Tile: copies along an axis, gradients summed."""

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError


@pytest.mark.parametrize(
    "shape, axis, tiles",
    [((2, 3, 4), None, 3), ((2, 3, 4), 0, 2), ((2, 3, 4), -1, 4), ((3,), 0, 2), ((2, 3), 1, 1)],
)
def test_value_and_gradient(shape, axis, tiles):
    rng = np.random.default_rng(16)
    x, along = rng.normal(size=shape), 1 if axis is None else axis % len(shape)
    top = tuple(d * tiles if i == along else d for i, d in enumerate(shape))
    dy = rng.normal(size=top)
    run = run_layer(
        "Tile",
        f"tile_param {{ tiles: {tiles} {'' if axis is None else f'axis: {axis}'} }}",
        x,
        diffs=[dy],
    )
    y, dx = np.zeros(top), np.zeros(shape)
    for i in np.ndindex(top):
        source = tuple(k % shape[along] if n == along else k for n, k in enumerate(i))
        y[i] = x[source]
        dx[source] += dy[i]
    assert run.tops[0].shape == top and np.allclose(run.tops[0], y, 1e-6) and np.allclose(run.diffs[0], dx, 1e-4, 1e-6)


@pytest.mark.parametrize(
    "text, message",
    [("", "needs tiles"), ("tiles: 0", "positive"), ("tiles: 2 axis: 2", "out of range")],
)
def test_invalid_inputs_raise(text, message):
    with pytest.raises(CaffeError, match=message):
        run_layer("Tile", f"tile_param {{ {text} }}", np.ones((2, 3)))
