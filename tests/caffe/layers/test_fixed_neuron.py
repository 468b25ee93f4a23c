"""FixedNeuron compared with its definition, value by value."""

import math

import numpy as np
import pytest
from support.reference import build_error, one_layer_net, run

import caffe

X = np.array([[-9.0, -2.5, -1.25, -0.375, -0.1], [0.1, 0.125, 0.375, 1.26, 9.0]])


def fixed(value, position, bits, away):
    scaled = value * 2**position
    if away:
        rounded = math.copysign(math.floor(abs(scaled) + 0.5), scaled)
    else:
        rounded = math.floor(scaled + 0.5)
    return min(max(rounded, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1) / 2**position


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("position", [-1, 0, 2])
def test_values(position, away):
    text = f"fixed_param {{ bit_width: 5 follow_data_layer: {str(away).lower()} }}"
    net = one_layer_net("FixedNeuron", text, [X.shape], force=False)
    received = run(net, [X], [np.array([position])]).tops[0]
    np.testing.assert_array_equal(received, [[fixed(v, position, 5, away) for v in row] for row in X])


def test_disabled_is_a_copy():
    net = one_layer_net("FixedNeuron", "fixed_param { enable: false }", [X.shape], force=False)
    np.testing.assert_array_equal(run(net, [X]).tops[0], X.astype(np.float32))


def test_errors():
    assert "phase TRAIN, is not implemented" in build_error("FixedNeuron", "", [(2, 3)], phase=caffe.TRAIN)
    assert "bit_width must be positive" in build_error("FixedNeuron", "fixed_param { bit_width: 0 }", [(2, 3)])
