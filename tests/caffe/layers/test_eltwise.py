"""Eltwise against its definition; who gets the derivative of a shared maximum as in Caffe's loop."""

import numpy as np
import pytest
from support.reference import close, hold, one_layer_net, refusal, run


@pytest.mark.parametrize(
    ("text", "count", "reference"),
    [
        ("", 2, lambda a, b: [a + b]),
        ("operation: SUM coeff: 2 coeff: -1 coeff: 0.5", 3, lambda a, b, c: [2 * a - b + 0.5 * c]),
        ("operation: SUM coeff: 0 coeff: 3", 2, lambda a, b: [0 * a + 3 * b]),
        ("operation: PROD", 3, lambda a, b, c: [a * b * c]),
        ("operation: PROD stable_prod_grad: false", 2, lambda a, b: [a * b]),
        ("operation: MAX", 3, lambda a, b, c: [np.maximum(a, np.maximum(b, c))]),
        ("operation: MAX coeff: 5 coeff: -1", 2, lambda a, b: [np.maximum(a, b)]),
    ],
)
def test_equals_the_definition(text, count, reference):
    rng = np.random.default_rng(1)
    hold(
        "Eltwise",
        f"eltwise_param {{ {text} }}",
        [rng.standard_normal((2, 3, 2)) for _ in range(count)],
        reference,
    )


def test_a_shared_maximum_sends_its_diff_to_one_bottom():
    rng = np.random.default_rng(2)
    bottoms = [rng.integers(-1, 2, (3, 40)).astype(float) for _ in range(4)]
    dy = rng.standard_normal((3, 40))
    diffs = [np.zeros((3, 40)) for _ in bottoms]
    for place in np.ndindex(3, 40):
        winner = 0 if bottoms[0][place] > bottoms[1][place] else 1
        for number in (2, 3):
            if bottoms[number][place] > bottoms[winner][place]:
                winner = number
        diffs[winner][place] = dy[place]
    result = run(one_layer_net("Eltwise", "eltwise_param { operation: MAX }", [(3, 40)] * 4), bottoms, [], [dy])
    for received, expected in zip(result.diffs, diffs):
        close(received, expected, "bottom's diff")


def test_the_stable_derivative_of_a_product_holds_at_zero_and_the_other_does_not():
    x = [np.array([[0.0, 2.0]]), np.array([[3.0, 0.0]])]
    text = "eltwise_param { operation: PROD stable_prod_grad: %s }"
    stable = run(one_layer_net("Eltwise", text % "true", [(1, 2)] * 2), x, [], [np.ones((1, 2))])
    assert [d.tolist() for d in stable.diffs] == [[[3, 0]], [[0, 2]]]
    other = run(one_layer_net("Eltwise", text % "false", [(1, 2)] * 2), x, [], [np.ones((1, 2))])
    assert np.isnan(other.diffs[0][0, 0]) and other.diffs[0][0, 1] == 0


@pytest.mark.parametrize(
    ("text", "shapes", "said"),
    [
        ("coeff: 1", [(2, 3)] * 2, "coeff must be given once a bottom (2) or not at all, received 1"),
        ("operation: PROD coeff: 1 coeff: 1", [(2, 3)] * 2, "coeff is for SUM"),
        ("", [(2, 3), (3, 2)], "bottom 0 is (2, 3), bottom 1 is (3, 2)"),
        ("", [(2, 3)], "takes 2 or more bottom"),
    ],
)
def test_refuses_what_caffe_refuses(text, shapes, said):
    assert said in refusal("Eltwise", f"eltwise_param {{ {text} }}", shapes)


def test_division_and_minimum_of_synopsys():
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0.5, 2, (2, 2, 3))
    hold("Eltwise", "eltwise_param { operation: DIV }", [a, b], lambda a, b: [a / b])
    hold("Eltwise", "eltwise_param { operation: MIN }", [a, b], lambda a, b: [np.where(a < b, a, b)])
