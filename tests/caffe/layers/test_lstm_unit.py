"""LSTMUnit against the equations of Zaremba & Sutskever, one number at a time."""

import math

import numpy as np
from support.reference import hold, one_layer_net, refusal, run


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def unit(cell, gates, cont):
    size = cell.shape[2]
    after, hidden = np.zeros(cell.shape), np.zeros(cell.shape)
    for _, n, d in np.ndindex(*cell.shape):
        i, f, o, g = (gates[0, n, k * size + d] for k in range(4))
        release = 0 if cont[0, n] == 0 else cont[0, n] * sigmoid(f)
        after[0, n, d] = release * cell[0, n, d] + sigmoid(i) * math.tanh(g)
        hidden[0, n, d] = sigmoid(o) * math.tanh(after[0, n, d])
    return [after, hidden]


def test_equals_the_equations():
    rng = np.random.default_rng(1)
    bottoms = [rng.standard_normal((1, 4, 3)), rng.standard_normal((1, 4, 12)), np.array([[1.0, 0, 1, 0]])]
    hold("LSTMUnit", "", bottoms, unit, tops=2, fixed=(2,))


def test_where_a_sequence_starts_the_old_state_counts_for_nothing():
    rng = np.random.default_rng(2)
    gates = rng.standard_normal((1, 1, 8))
    net = one_layer_net("LSTMUnit", "", [(1, 1, 2), (1, 1, 8), (1, 1)], tops=2)
    first = run(net, [np.full((1, 1, 2), 5.0), gates, [[0]]], [], [np.ones((1, 1, 2))] * 2)
    second = run(net, [np.full((1, 1, 2), -7.0), gates, [[0]]])
    assert np.array_equal(first.tops, second.tops) and not first.diffs[0].any()


def test_refuses_shapes_that_do_not_belong_together():
    for shapes in (
        [(1, 2, 3), (1, 2, 9), (1, 2)],
        [(2, 2, 3), (2, 2, 12), (2, 2)],
        [(1, 2, 3), (1, 2, 12), (2,)],
    ):
        assert "must be 1 x N x D" in refusal("LSTMUnit", "", shapes, tops=2)
