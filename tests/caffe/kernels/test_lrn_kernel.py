"""The kernels of LRN compared with NumPy in float64 and with PyTorch's operators."""

import numpy as np
import pytest
import torch
from support import kernels

from caffe.kernels import lrn
from caffe.layers.lrn import AcrossChannels, WithinChannel

kernels.require()

SHAPES = [(2, 7, 4, 5), (1, 1, 3, 2), (1, 5, 1, 1), (3, 96, 5, 6), (2, 33, 3, 3)]
SETTINGS = [(5, 1e-4, 0.75, 1.0), (3, 2.0, 0.6, 1.5), (1, 1.0, 0.5, 2.0), (9, 0.5, 0.75, 0.1), (3, 2.0, 1.0, 0.0)]
PLANES = [(2, 7, 4, 5), (1, 1, 3, 2), (1, 5, 1, 1), (3, 9, 1, 7), (2, 3, 8, 1), (3, 33, 16, 6), (1, 2, 11, 9)]
WINDOWS = [(3, 5e-5, 0.75), (5, 2.0, 0.6), (1, 1.0, 0.5), (9, 0.5, 0.75), (31, 4.0, 1.0), (2**31 + 1, 1e18, 0.5)]


def expected(x, dy, settings, window_sum):
    """Return y and dx in float64; `window_sum` sums over the window around each value."""
    x, dy, (size, alpha, beta, k) = x.astype(np.float64), dy.astype(np.float64), settings
    s = k + alpha / size * window_sum(np.square(x))
    return x * s**-beta, dy * s**-beta - 2 * alpha * beta / size * x * window_sum(dy * x * s**-beta / s)


def around(values, size, axis):
    """Return the sums over `size` values around each value along `axis`."""
    rows = np.moveaxis(values, axis, 0)
    sums = [rows[max(0, i - size // 2) : i + size // 2 + 1].sum(0) for i in range(len(rows))]
    return np.moveaxis(np.stack(sums), 0, axis)


def computed(function, x, dy, settings, threads):
    bottom, before = kernels.channels_last(x).requires_grad_(), torch.get_num_threads()
    assert lrn.is_supported(bottom)
    torch.set_num_threads(threads)
    try:
        top = function(bottom, *settings)
        (dx,) = torch.autograd.grad(top, bottom, torch.from_numpy(dy))
    finally:
        torch.set_num_threads(before)
    return top.detach().numpy(), dx.numpy()


def bottom_and_diff(shape):
    rng = np.random.default_rng(2)
    x = (rng.uniform(0.2, 2, shape) * rng.choice([-1, 1], shape)).astype(np.float32)
    return x, rng.normal(size=shape).astype(np.float32)


def check(found, wanted):
    for values, exact in zip(found, wanted):
        assert np.abs(values - exact).max() <= 2e-6 * max(1, np.abs(exact).max())


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_across_channels_equals_float64(shape, settings, threads):
    x, dy = bottom_and_diff(shape)
    found = computed(lrn.across_channels, x, dy, settings, threads)
    check(found, expected(x, dy, settings, lambda values: around(values, settings[0], 1)))


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("settings", WINDOWS)
@pytest.mark.parametrize("shape", PLANES)
def test_within_channel_equals_float64(shape, settings, threads):
    x, dy = bottom_and_diff(shape)
    size, alpha, beta = settings
    found = computed(lrn.within_channel, x, dy, settings, threads)
    check(found, expected(x, dy, (size**2, alpha, beta, 1), lambda v: around(around(v, size, 2), size, 3)))


@pytest.mark.parametrize("beta", [0.75, 0.5, 0.6])
@pytest.mark.parametrize(
    ("kernel", "reference", "more"),
    [(lrn.across_channels, AcrossChannels, (1.0,)), (lrn.within_channel, WithinChannel, ())],
)
def test_not_finite_values_spread_as_with_pytorch(kernel, reference, more, beta):
    rng = np.random.default_rng(4)
    x, dy = (rng.normal(size=(3, 9, 7, 6)).astype(np.float32) for _ in range(2))
    for value in (np.nan, np.inf, -np.inf, 3e38, 0):
        x[rng.random(x.shape) < 0.02] = value
        dy[rng.random(x.shape) < 0.01] = value
    settings = 3, 1e-2, beta, *more
    for values, wanted in zip(computed(kernel, x, dy, settings, 2), computed(reference.apply, x, dy, settings, 2)):
        assert np.isnan(wanted).any()
        assert np.isfinite(wanted).any()
        assert np.allclose(values, wanted, rtol=1e-5, atol=1e-6, equal_nan=True)


def test_other_bottoms_are_left_to_pytorch():
    x = kernels.channels_last(np.ones((2, 3, 4, 4)))
    assert lrn.is_supported(x)
    assert not lrn.is_supported(x.contiguous())
    assert not lrn.is_supported(x.bfloat16())
    assert not lrn.is_supported(x[:0])
