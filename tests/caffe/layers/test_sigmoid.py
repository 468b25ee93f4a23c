"""Sigmoid, with a separate top and in place."""

import math

import numpy as np
import pytest
from support.layer_nets import net_of, run_layer

X = np.array([-500, -20, -1, 0, 0.3, 20, 500], np.float32)


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def test_value_and_gradient():
    run = run_layer("Sigmoid", "", X, diffs=[np.arange(1, 8)])
    y = np.array([sigmoid(x) for x in X.tolist()])
    assert np.allclose(run.tops[0], y, 1e-6, 1e-30)
    assert np.allclose(run.diffs[0], np.arange(1, 8) * y * (1 - y), 1e-5, 1e-6)


@pytest.mark.parametrize("with_view", [False, True])
def test_in_place(with_view):
    net = net_of(
        'force_backward: true layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 7 } } }\n'
        'layer { name: "p" type: "Power" bottom: "x" top: "y" power_param { scale: 2 } }\n'
        'layer { name: "s" type: "Sigmoid" bottom: "y" top: "y" }'
    )
    view = net.blobs["y"].data if with_view else None
    net.blobs["x"].data[...] = X
    net.forward()
    y = np.array([sigmoid(2 * x) for x in X.tolist()])
    assert np.allclose(net.blobs["y"].data, y, 1e-6, 1e-30) and (
        view is None or np.array_equal(view, net.blobs["y"].data)
    )
    net.blobs["y"].diff[...] = 1
    net.backward()
    assert np.allclose(net.blobs["x"].diff, 2 * y * (1 - y), 1e-5, 1e-6)
