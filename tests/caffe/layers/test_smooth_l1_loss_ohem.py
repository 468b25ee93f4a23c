"""SmoothL1LossOHEM compared with its definition."""

import numpy as np
import pytest
from support.reference import assert_close, check_layer, one_layer_net, run


def elements(a, b, w):
    d = w * (a - b)
    return np.array([0.5 * v * v if abs(v) < 1 else abs(v) - 0.5 for v in d.ravel()]).reshape(d.shape)


@pytest.mark.parametrize(
    ("text", "divisor"),
    [("", 12), ("normalization: BATCH_SIZE", 3), ("normalization: PRE_FIXED pre_fixed_normalizer: 7", 7)],
)
def test_matches_the_definition(text, divisor):
    a, b, w = np.random.default_rng(27).standard_normal((3, 3, 5, 2, 2)) * 1.5
    text = f"loss_param {{ {text} }}"
    check_layer("SmoothL1LossOHEM", text, [a, b, w], lambda *x: [np.array(elements(*x).sum() / divisor)], fixed=(2,))


def test_second_top_is_the_loss_of_each_position():
    a, b = np.random.default_rng(27).standard_normal((2, 3, 5, 2, 2))
    net = one_layer_net("SmoothL1LossOHEM", "", [a.shape] * 2, tops=2)
    assert_close(run(net, [a, b]).tops[1], elements(a, b, 1).sum(1, keepdims=True), "losses")
