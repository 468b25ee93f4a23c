"""SmoothL1Loss compared with its definition."""

import numpy as np
import pytest
from support.reference import build_error, check_layer


def loss(a, b, inside=None, outside=None, sigma=1.0):
    total = 0.0
    for place in np.ndindex(*a.shape):
        d = (a[place] - b[place]) * (1 if inside is None else inside[place])
        value = 0.5 * (sigma * d) ** 2 if abs(d) < 1 / sigma**2 else abs(d) - 0.5 / sigma**2
        total += value * (1 if outside is None else outside[place])
    return [np.array(total / a.shape[0])]


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_matches_the_definition(sigma):
    rng = np.random.default_rng(14)
    a, b, inside, outside = rng.standard_normal((4, 3, 4)) * 1.5
    text = f"smooth_l1_loss_param {{ sigma: {sigma} }}"
    check_layer("SmoothL1Loss", text, [a, b], lambda a, b: loss(a, b, sigma=sigma))
    check_layer("SmoothL1Loss", text, [a, b, inside, outside], lambda a, b, i, o: loss(a, b, i, o, sigma), fixed=(2, 3))


def test_one_weight_alone_raises():
    assert "both weights" in build_error("SmoothL1Loss", "", [(2, 3)] * 3)
