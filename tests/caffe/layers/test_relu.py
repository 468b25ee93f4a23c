"""ReLU, plain and leaky; the gradient at 0 is the negative slope."""

import numpy as np
import pytest
from support.layer_nets import net_of, run_layer

X = np.array([[-3, -0.5, 0], [1e-7, 2, -1e9]], np.float32)


@pytest.mark.parametrize("slope", [None, 0, 0.1, 1, 2.5, -0.5])
def test_value_and_gradient(slope):
    text = "" if slope is None else f"relu_param {{ negative_slope: {slope:g} }}"
    run = run_layer("ReLU", text, X, diffs=[np.full((2, 3), 2)])
    s = slope or 0
    assert np.allclose(run.tops[0], np.vectorize(lambda x: x if x > 0 else s * x)(X), 1e-6)
    assert np.allclose(run.diffs[0], np.vectorize(lambda x: 2 if x > 0 else 2 * s)(X), 1e-6)


def test_in_place_chain():
    net = net_of("""force_backward: true
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "n" type: "Power" bottom: "x" top: "y" power_param { scale: -1 } }
        layer { name: "a" type: "ReLU" bottom: "y" top: "y" relu_param { negative_slope: 0.5 } }
        layer { name: "b" type: "ReLU" bottom: "y" top: "y" relu_param { negative_slope: 0.5 } }""")
    net.blobs["x"].data[...] = X
    net.forward()
    assert np.allclose(net.blobs["y"].data, np.where(X < 0, -X, -X / 4))
    net.blobs["y"].diff[...] = 1
    net.backward()
    assert np.allclose(net.blobs["x"].diff, np.where(X < 0, -1, -0.25))
