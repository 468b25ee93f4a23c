"""SmoothL1Loss against its definition."""

import numpy as np
import pytest
from support.reference import hold, refusal


def loss(a, b, inside=None, outside=None, sigma=1.0):
    total = 0.0
    for place in np.ndindex(*a.shape):
        d = (a[place] - b[place]) * (1 if inside is None else inside[place])
        value = 0.5 * (sigma * d) ** 2 if abs(d) < 1 / sigma**2 else abs(d) - 0.5 / sigma**2
        total += value * (1 if outside is None else outside[place])
    return [np.array(total / a.shape[0])]


@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_equals_the_definition(sigma):
    rng = np.random.default_rng(14)
    a, b, inside, outside = rng.standard_normal((4, 3, 4)) * 1.5
    text = f"smooth_l1_loss_param {{ sigma: {sigma} }}"
    hold("SmoothL1Loss", text, [a, b], lambda a, b: loss(a, b, sigma=sigma))
    hold("SmoothL1Loss", text, [a, b, inside, outside], lambda a, b, i, o: loss(a, b, i, o, sigma), fixed=(2, 3))


def test_one_weight_alone_is_refused():
    assert "both weights" in refusal("SmoothL1Loss", "", [(2, 3)] * 3)
