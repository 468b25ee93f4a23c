"""Learning rates compared with closed formulas from Caffe's documentation."""

import math

import pytest

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2
from caffe.solver import policies

FORMULAS = {
    "fixed": lambda i: 0.02,
    "step": lambda i: 0.02 * 0.5 ** math.floor(i / 7),
    "exp": lambda i: 0.02 * 0.5**i,
    "inv": lambda i: 0.02 * (1 + 0.5 * i) ** -0.75,
    "multistep": lambda i: 0.02 * 0.5 ** sum(i >= value for value in (3, 10, 11)),
    "poly": lambda i: 0.02 * (1 - i / 40) ** 0.75,
    "sigmoid": lambda i: 0.02 / (1 + math.exp(-0.5 * (i - 7))),
    "cosine": lambda i: 0.02 * math.cos(math.pi / 2 * i / 40) ** 2,
}


def param(policy, **more):
    fields = dict(base_lr=0.02, gamma=0.5, stepsize=7, power=0.75, max_iter=40, stepvalue=[3, 10, 11])
    return caffe_pb2.SolverParameter(lr_policy=policy, **{**fields, **more})


@pytest.mark.parametrize("policy", FORMULAS)
def test_policy_matches_its_formula(policy):
    p, current = param(policy), 0
    policies.check(p)
    for iteration in range(40):
        current = policies.advance(p, iteration, current)
        expected = FORMULAS[policy](iteration)
        assert policies.learning_rate(p, iteration, current) == pytest.approx(expected, rel=1e-6)


def test_every_policy_has_a_formula():
    assert set(FORMULAS) == set(policies.POLICIES)


def test_rampup_is_linear():
    p = param("step", rampup_interval=8, rampup_lr=0.004)
    rates = [policies.learning_rate(p, i, policies.advance(p, i, 0)) for i in range(10)]
    assert rates[:8] == pytest.approx([0.004 + 0.002 * i for i in range(8)], rel=1e-6)
    assert rates[8:] == pytest.approx([0.01, 0.01], rel=1e-6)


def test_poly_after_max_iter_and_extreme_sigmoid_are_zero():
    assert policies.learning_rate(param("poly"), 41, 0) == 0
    assert policies.learning_rate(param("sigmoid", gamma=1e6), 0, 0) == pytest.approx(0)


@pytest.mark.parametrize(
    "policy, more, message",
    [
        ("stepp", {}, "did you mean 'step'"),
        ("step", {"stepsize": 0}, "positive stepsize, received 0"),
        ("poly", {"max_iter": 0}, "positive max_iter"),
        ("cosine", {"max_iter": 0}, "'cosine' needs a positive max_iter"),
        ("fixed", {"rampup_interval": -1}, "rampup_interval"),
    ],
)
def test_invalid_policies_raise(policy, more, message):
    with pytest.raises(CaffeError, match=message):
        policies.check(param(policy, **more))
