"""Eltwise compared with its definition; on ties, MAX passes the gradient to the same bottom as Caffe."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run


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
def test_matches_the_definition(text, count, reference):
    rng = np.random.default_rng(1)
    check_layer(
        "Eltwise",
        f"eltwise_param {{ {text} }}",
        [rng.standard_normal((2, 3, 2)) for _ in range(count)],
        reference,
    )


def test_tied_maximum_passes_the_gradient_to_one_bottom():
    rng = np.random.default_rng(2)
    bottoms = [rng.integers(-1, 2, (3, 40)).astype(float) for _ in range(4)]
    dy = rng.standard_normal((3, 40))
    diffs = [np.zeros((3, 40)) for _ in bottoms]
    for position in np.ndindex(3, 40):
        winner = 0 if bottoms[0][position] > bottoms[1][position] else 1
        for number in (2, 3):
            if bottoms[number][position] > bottoms[winner][position]:
                winner = number
        diffs[winner][position] = dy[position]
    result = run(one_layer_net("Eltwise", "eltwise_param { operation: MAX }", [(3, 40)] * 4), bottoms, [], [dy])
    for received, expected in zip(result.diffs, diffs):
        assert_close(received, expected, "bottom's diff")


def test_only_the_stable_product_gradient_is_finite_at_zero():
    x = [np.array([[0.0, 2.0]]), np.array([[3.0, 0.0]])]
    text = "eltwise_param { operation: PROD stable_prod_grad: %s }"
    stable = run(one_layer_net("Eltwise", text % "true", [(1, 2)] * 2), x, [], [np.ones((1, 2))])
    assert [d.tolist() for d in stable.diffs] == [[[3, 0]], [[0, 2]]]
    other = run(one_layer_net("Eltwise", text % "false", [(1, 2)] * 2), x, [], [np.ones((1, 2))])
    assert np.isnan(other.diffs[0][0, 0]) and other.diffs[0][0, 1] == 0


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("coeff: 1", [(2, 3)] * 2, "expected one coeff per bottom (2) or none, received 1"),
        ("operation: PROD coeff: 1 coeff: 1", [(2, 3)] * 2, "coeff is for SUM"),
        ("", [(2, 3), (3, 2)], "bottom 0 is (2, 3), bottom 1 is (3, 2)"),
        ("", [(2, 3)], "takes 2 or more bottom"),
    ],
)
def test_invalid_parameters_raise(text, shapes, message):
    assert message in build_error("Eltwise", f"eltwise_param {{ {text} }}", shapes)


def test_division_and_minimum_of_synopsys():
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0.5, 2, (2, 2, 3))
    check_layer("Eltwise", "eltwise_param { operation: DIV }", [a, b], lambda a, b: [a / b])
    check_layer("Eltwise", "eltwise_param { operation: MIN }", [a, b], lambda a, b: [np.where(a < b, a, b)])


def test_a_bottom_without_axes_counts_for_all_elements():
    x = np.random.default_rng(3).standard_normal((2, 3))
    check_layer("Eltwise", "eltwise_param { operation: PROD }", [x, np.array(1.7)], lambda x, y: [x * y])
