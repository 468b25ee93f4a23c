"""LSTMUnit compared with the equations of Zaremba & Sutskever, one value at a time."""

import math

import numpy as np
from support.reference import build_error, check_layer, one_layer_net, run


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def unit(cell, gates, cont):
    size = cell.shape[2]
    new_cell, hidden = np.zeros(cell.shape), np.zeros(cell.shape)
    for _, n, d in np.ndindex(*cell.shape):
        i, f, o, g = (gates[0, n, k * size + d] for k in range(4))
        forget = 0 if cont[0, n] == 0 else cont[0, n] * sigmoid(f)
        new_cell[0, n, d] = forget * cell[0, n, d] + sigmoid(i) * math.tanh(g)
        hidden[0, n, d] = sigmoid(o) * math.tanh(new_cell[0, n, d])
    return [new_cell, hidden]


def test_matches_the_equations():
    rng = np.random.default_rng(1)
    bottoms = [rng.standard_normal((1, 4, 3)), rng.standard_normal((1, 4, 12)), np.array([[1.0, 0, 1, 0]])]
    check_layer("LSTMUnit", "", bottoms, unit, tops=2, fixed=(2,))


def test_sequence_start_resets_the_state():
    rng = np.random.default_rng(2)
    gates = rng.standard_normal((1, 1, 8))
    net = one_layer_net("LSTMUnit", "", [(1, 1, 2), (1, 1, 8), (1, 1)], tops=2)
    first = run(net, [np.full((1, 1, 2), 5.0), gates, [[0]]], [], [np.ones((1, 1, 2))] * 2)
    second = run(net, [np.full((1, 1, 2), -7.0), gates, [[0]]])
    assert np.array_equal(first.tops, second.tops) and not first.diffs[0].any()


def test_inconsistent_shapes_raise():
    for shapes in (
        [(1, 2, 3), (1, 2, 9), (1, 2)],
        [(2, 2, 3), (2, 2, 12), (2, 2)],
        [(1, 2, 3), (1, 2, 12), (2,)],
    ):
        assert "must be 1 x N x D" in build_error("LSTMUnit", "", shapes, tops=2)
