"""Reshape: copied, inferred, inserted and partial shapes."""

import numpy as np
import pytest
from support.layer_nets import net_of, run_layer

from caffe.errors import CaffeError

SETTINGS = [  # bottom, dims, more, top
    ((2, 3, 4), (0, -1), "", (2, 12)),
    ((2, 3, 4), (-1,), "", (24,)),
    ((2, 3, 4), (4, 3, 2), "", (4, 3, 2)),
    ((2, 3, 4), (0, 0, 2, -1), "", (2, 3, 2, 2)),
    ((2, 3, 4), (0, 0, 2, 2), "", (2, 3, 2, 2)),
    ((2, 6, 4), (3, 2), "axis: 1 num_axes: 1", (2, 3, 2, 4)),
    ((2, 6, 4), (3, -1), "axis: 1 num_axes: 1", (2, 3, 2, 4)),
    ((2, 6, 4), (-1,), "axis: 1", (2, 24)),
    ((2, 6, 4), (-1,), "axis: -2", (2, 6, 4)),
    ((2, 6, 4), (-1,), "axis: -3 num_axes: 2", (2, 24)),
    ((2, 3), (1,), "axis: -1 num_axes: 0", (2, 3, 1)),
    ((2, 3), (1, 1), "axis: 0 num_axes: 0", (1, 1, 2, 3)),
    ((2, 3), (1,), "axis: 1 num_axes: 0", (2, 1, 3)),
    ((2, 3, 4), (0, 2, -1), "axis: 1", (2, 3, 2, 2)),
    ((1, 1, 5), (), "axis: 0 num_axes: 2", (5,)),
    ((2, 3, 4), (), "num_axes: 0", (2, 3, 4)),
    ((1, 1), (), "", ()),
    ((2, 2, 4), (2, 0), "num_axes: 2", (2, 2, 4)),
]


def text(dims, more):
    return "reshape_param {{ shape {{ {} }} {} }}".format(" ".join(f"dim: {d}" for d in dims), more)


@pytest.mark.parametrize("bottom, dims, more, top", SETTINGS)
def test_value_and_gradient(bottom, dims, more, top):
    x = np.arange(np.prod(bottom), dtype=np.float32).reshape(bottom)
    run = run_layer("Reshape", text(dims, more), x, diffs=[2 * x.reshape(top)])
    assert run.tops[0].shape == top and np.array_equal(run.tops[0].ravel(), x.ravel())
    assert np.array_equal(run.diffs[0], 2 * x)


INVALID = [
    ((-1, -1), "", "more than one -1"),
    ((-2, 12), "", "must not be less than -1"),
    ((5, -1), "", "cannot be reshaped to"),
    ((5,), "", "output count"),
    ((0, 0, 0, 0), "", "does not have"),
    ((-1,), "axis: 4", "axis 4 is out of range"),
    ((-1,), "axis: -5", "axis -5 is out of range"),
    ((-1,), "num_axes: -2", "num_axes must be 0 or more"),
    ((-1,), "axis: 2 num_axes: 2", "exceeds the axes"),
]


@pytest.mark.parametrize("dims, more, message", INVALID)
def test_invalid_inputs_raise(dims, more, message):
    with pytest.raises(CaffeError, match=message):
        run_layer("Reshape", text(dims, more), np.ones((2, 3, 4)))


def test_batch_size_may_change_and_in_place_raises():
    input_layer = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 6 } } }\n'
    net = net_of(
        input_layer + 'layer {{ name: "r" type: "Reshape" bottom: "x" top: "y" {} }}'.format(text((0, 2, 3), ""))
    )
    net.blobs["x"].reshape(7, 6)
    assert net.forward()["y"].shape == (7, 2, 3)
    with pytest.raises(CaffeError, match="cannot work in place"):
        net_of(input_layer + 'layer {{ name: "r" type: "Reshape" bottom: "x" top: "x" {} }}'.format(text((0, -1), "")))


def test_pixelshuffler_moves_channels_to_pixels():
    x = np.arange(2 * 8 * 2 * 3, dtype=np.float32).reshape(2, 8, 2, 3)
    top = run_layer("Reshape", "reshape_param { pixelshuffler: 2 }", x).tops[0]
    assert top.shape == (2, 2, 4, 6)
    for n, c, i, j in np.ndindex(*top.shape):
        assert top[n, c, i, j] == x[n, c * 4 + i % 2 * 2 + j % 2, i // 2, j // 2]
