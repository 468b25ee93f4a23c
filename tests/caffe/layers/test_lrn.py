"""LRN compared with its formula, across channels and within windows."""

import numpy as np
import pytest
from support.reference import build_error, check_layer, one_layer_net, run


def across(size, alpha, beta, k):
    def normalize(x):
        y = np.zeros(x.shape)
        for c in range(x.shape[1]):
            neighbors = x[:, max(0, c - size // 2) : c + size // 2 + 1]
            y[:, c] = x[:, c] * (k + alpha / size * (neighbors**2).sum(1)) ** -beta
        return [y]

    return normalize


def within(size, alpha, beta):
    def normalize(x):
        y, half = np.zeros(x.shape), size // 2
        for i, j in np.ndindex(*x.shape[2:]):
            neighbors = x[:, :, max(0, i - half) : i + half + 1, max(0, j - half) : j + half + 1]
            y[:, :, i, j] = x[:, :, i, j] * (1 + alpha / size**2 * (neighbors**2).sum((2, 3))) ** -beta
        return [y]

    return normalize


@pytest.mark.parametrize(
    ("size", "alpha", "beta", "k", "channels"),
    [
        (5, 1e-4, 0.75, 1, 7),
        (3, 2, 0.75, 1, 4),
        (5, 1.5, 0.5, 2, 3),
        (7, 1, 1.3, 0.5, 5),
        (1, 3, 0.75, 1, 3),
        (9, 1, 1, 1, 2),
    ],
)
def test_across_channels(size, alpha, beta, k, channels):
    x = np.random.default_rng(size).standard_normal((2, channels, 2, 3))
    text = f"lrn_param {{ local_size: {size} alpha: {alpha:g} beta: {beta:g} k: {k:g} }}"
    check_layer("LRN", text, [x], across(size, np.float64(np.float32(alpha)), beta, k))


@pytest.mark.parametrize(("size", "alpha", "beta"), [(3, 0.5, 0.75), (5, 2, 0.4), (1, 1, 1), (7, 3, 0.5)])
def test_within_channel_uses_k_1_and_divides_by_the_area(size, alpha, beta):
    x = np.random.default_rng(size).standard_normal((1, 2, 4, 5))
    text = f"lrn_param {{ local_size: {size} alpha: {alpha:g} beta: {beta:g} k: 5 norm_region: WITHIN_CHANNEL }}"
    check_layer("LRN", text, [x], within(size, alpha, beta))


def test_default_parameters():
    x = np.random.default_rng(0).standard_normal((1, 6, 2, 2))
    check_layer("LRN", "", [x], across(5, 1.0, 0.75, 1.0))


def test_many_channels():
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 700, 1, 2)), rng.standard_normal((2, 700, 1, 2))
    reference = across(5, 2.0, 0.75, 1.0)
    result = run(one_layer_net("LRN", "lrn_param { alpha: 2 }", [x.shape]), [x], [], [dy])
    assert np.abs(result.tops[0] - reference(x)[0]).max() < 1e-5
    direction, step = rng.standard_normal(x.shape), 1e-6
    ahead, behind = (reference(x + s * direction)[0] for s in (step, -step))
    expected = ((ahead - behind) * dy).sum() / (2 * step)
    assert abs((result.diffs[0] * direction).sum() - expected) < 1e-3 * abs(expected)


def test_invalid_parameters_raise():
    assert "local_size must be odd, received 4" in build_error("LRN", "lrn_param { local_size: 4 }", [(1, 2, 3, 3)])
    assert "4 axes" in build_error("LRN", "", [(2, 3)])
