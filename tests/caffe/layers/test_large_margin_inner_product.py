"""LargeMarginInnerProduct compared with the definition by angles."""

import numpy as np
import pytest
from support import angular_margin
from support.reference import build_error, check_layer, one_layer_net


@pytest.mark.parametrize("kind, margin", [("SINGLE", 1), ("DOUBLE", 2), ("TRIPLE", 3), ("QUADRUPLE", 4)])
def test_matches_the_angles(kind, margin):
    rng = np.random.default_rng(9)
    x, weights = rng.standard_normal((4, 3)), rng.standard_normal((3, 3))
    text = f"largemargin_inner_product_param {{ num_output: 3 type: {kind} base: 2 gamma: 0.5 power: 2 }}"
    check_layer(
        "LargeMarginInnerProduct",
        text,
        [x, np.array([0, 1, 2, 0])],
        lambda x, labels, w: [angular_margin.logits(x, labels, w, margin, 2 * 1.5**-2)],
        [weights],
        fixed=(1,),
    )


def test_lambda_decreases_to_its_minimum():
    text = "largemargin_inner_product_param { num_output: 3 type: DOUBLE base: 8 gamma: 1 power: 1 lambda_min: 2.5 }"
    net = one_layer_net("LargeMarginInnerProduct", text, [(1, 3), (1,)], tops=2, force=False)
    net.blobs["x0"].data[...] = 1
    net.params["l"][0].data[...] = np.eye(3)
    values = []
    for _ in range(3):
        net.forward()
        values.append(float(net.blobs["y1"].data[0]))
    assert values == pytest.approx([4, 8 / 3, 2.5])


def test_one_label_per_item():
    text = "largemargin_inner_product_param { num_output: 3 }"
    assert "expected 2 labels" in build_error("LargeMarginInnerProduct", text, [(2, 3), (3,)])
