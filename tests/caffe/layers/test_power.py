"""Power: (shift + scale x) ^ power and its two constant cases."""

import numpy as np
import pytest
from support.layer_nets import run_layer

POSITIVE = np.array([[0.1, 0.5, 1], [1.5, 2, 7]], np.float32)
SIGNED = np.array([[-2, -0.5, 0], [0.5, 1, 3]], np.float32)
SETTINGS = [
    (1, 1, 0, SIGNED),
    (1, -2, 0.5, SIGNED),
    (2, 1, 0, SIGNED),
    (2, 0.5, 1, SIGNED),
    (3, 2, -1, SIGNED),
    (0.5, 2, 0.25, POSITIVE),
    (-1, 1, 0, POSITIVE),
    (-0.75, 3, 1, POSITIVE),
    (1.7, 1, 0, POSITIVE),
]


@pytest.mark.parametrize("power, scale, shift, x", SETTINGS)
def test_value_and_gradient(power, scale, shift, x):
    text = f"power_param {{ power: {power:g} scale: {scale:g} shift: {shift:g} }}"
    run = run_layer("Power", text, x, diffs=[np.full((2, 3), 2)])
    inside = shift + scale * x.astype(np.float64)
    assert np.allclose(run.tops[0], inside**power, 1e-5, 1e-6)
    assert np.allclose(run.diffs[0], 2 * power * scale * inside ** (power - 1), 1e-5, 1e-6)


@pytest.mark.parametrize("power, scale, shift, value", [(0, 2, -7, 1), (3, 0, 2, 8), (0, 0, 0, 1), (2, 0, -3, 9)])
def test_constants_have_zero_gradient(power, scale, shift, value):
    x = np.array([-1, 0, np.inf, 5], np.float32)
    text = f"power_param {{ power: {power:g} scale: {scale:g} shift: {shift:g} }}"
    run = run_layer("Power", text, x, diffs=[np.ones(4)])
    assert (run.tops[0] == value).all() and (run.diffs[0] == 0).all()


def test_default_is_the_identity():
    assert np.array_equal(run_layer("Power", "", SIGNED).tops[0], SIGNED)
