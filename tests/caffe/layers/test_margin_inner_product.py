"""MarginInnerProduct compared with the definition by angles."""

import numpy as np
import pytest
from support import angular_margin
from support.reference import assert_close, one_layer_net, run, slope


@pytest.mark.parametrize("kind, margin", [("SINGLE", 1), ("DOUBLE", 2), ("TRIPLE", 3), ("QUADRUPLE", 4)])
def test_matches_the_angles(kind, margin):
    rng = np.random.default_rng(9)
    x, weights, dtop = rng.standard_normal((4, 3)), rng.standard_normal((3, 3)), rng.standard_normal((4, 3))
    labels = np.array([0, 1, 2, 0])
    text = f"margin_inner_product_param {{ num_output: 3 type: {kind} base: 2 gamma: 0.5 power: 2 }}"
    net = one_layer_net("MarginInnerProduct", text, [x.shape, labels.shape])
    result = run(net, [x, labels], [weights], [dtop])
    unit = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    assert_close(result.weights[0], unit, "weights")
    assert_close(result.tops[0], angular_margin.logits(x, labels, unit, margin, 2 * 1.5**-2), "top")
    expected = slope(lambda x: [angular_margin.logits(x, labels, unit, margin, 2 * 1.5**-2)], x, [dtop])
    assert_close(result.diffs[0], expected, "gradient of the features", 2e-4)


def test_the_gradient_of_the_weights_ignores_their_norm():
    """SphereFace: d |x| (2 cos^2 - 1) / dw for cos = x'w / |x|, as if the norm of w were always 1."""
    x, w = np.array([[2.0, 1.0]]), np.array([[0.6, 0.8]])
    net = one_layer_net(
        "MarginInnerProduct", "margin_inner_product_param { num_output: 1 type: DOUBLE base: 0 }", [(1, 2), (1,)]
    )
    result = run(net, [x, np.zeros(1)], [w], [np.ones((1, 1))])
    norm = np.sqrt(5)
    assert_close(result.weight_diffs[0], 4 * (x @ w.T / norm) * x, "gradient of the weights")
