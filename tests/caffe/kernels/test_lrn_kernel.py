"""The kernel of LRN across channels compared with NumPy in float64 and with PyTorch's operators."""

import numpy as np
import pytest
import torch
from support import kernels

from caffe.kernels import lrn
from caffe.layers.lrn import AcrossChannels

kernels.require()

SHAPES = [(2, 7, 4, 5), (1, 1, 3, 2), (1, 5, 1, 1), (3, 96, 5, 6), (2, 33, 3, 3)]
SETTINGS = [(5, 1e-4, 0.75, 1.0), (3, 2.0, 0.6, 1.5), (1, 1.0, 0.5, 2.0), (9, 0.5, 0.75, 0.1), (3, 2.0, 1.0, 0.0)]


def expected(x, dy, size, alpha, beta, k):
    """Return y and dx, channel by channel in float64."""
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    channels = range(x.shape[1])
    around = [slice(max(0, c - size // 2), c + size // 2 + 1) for c in channels]
    s = np.stack([k + alpha / size * np.square(x[:, around[c]]).sum(1) for c in channels], 1)
    ratio = dy * x * s**-beta / s
    sums = np.stack([ratio[:, around[c]].sum(1) for c in channels], 1)
    return x * s**-beta, dy * s**-beta - 2 * alpha * beta / size * x * sums


def computed(function, x, dy, settings):
    bottom = kernels.channels_last(x).requires_grad_()
    top = function(bottom, *settings)
    (dx,) = torch.autograd.grad(top, bottom, torch.from_numpy(dy))
    return top.detach().numpy(), dx.numpy()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_kernel_equals_float64(shape, settings, threads):
    rng = np.random.default_rng(2)
    x = (rng.uniform(0.2, 2, shape) * rng.choice([-1, 1], shape)).astype(np.float32)
    dy = rng.normal(size=shape).astype(np.float32)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert lrn.is_supported(kernels.channels_last(x))
        found = computed(lrn.across_channels, x, dy, settings)
    finally:
        torch.set_num_threads(before)
    for values, wanted in zip(found, expected(x, dy, *settings)):
        assert np.abs(values - wanted).max() <= 2e-6 * max(1, np.abs(wanted).max())


@pytest.mark.parametrize("beta", [0.75, 0.5, 0.6])
def test_not_finite_values_spread_as_with_pytorch(beta):
    rng = np.random.default_rng(4)
    x, dy = (rng.normal(size=(3, 9, 5, 4)).astype(np.float32) for _ in range(2))
    for value in (np.nan, np.inf, -np.inf, 3e38, 0):
        x[rng.random(x.shape) < 0.05] = value
    settings = 3, 1e-2, beta, 1.0
    for values, wanted in zip(
        computed(lrn.across_channels, x, dy, settings), computed(AcrossChannels.apply, x, dy, settings)
    ):
        assert np.allclose(values, wanted, rtol=1e-5, atol=1e-6, equal_nan=True)


def test_other_bottoms_are_left_to_pytorch():
    x = kernels.channels_last(np.ones((2, 3, 4, 4)))
    assert lrn.is_supported(x)
    assert not lrn.is_supported(x.contiguous())
    assert not lrn.is_supported(x.bfloat16())
    assert not lrn.is_supported(x[:0])
