"""The kernel of BatchNorm, Scale and ReLU compared with NumPy in float64 and with PyTorch."""

import numpy as np
import pytest
import torch
from support import kernels

from caffe.kernels import batch_norm

kernels.require()

SHAPES = [
    (3, 8, 5, 7),
    (1, 1, 1, 1),
    (1, 5, 1, 1),
    (1, 3, 4, 1),
    (2, 1, 3, 3),
    (7, 4),
    (1, 6),
    (40, 33, 9, 11),
    (2, 2048, 3, 3),
]
EPS = 1e-5


def expected(x, dy, gain, bias, relu, given):
    """Return y, mean, variance and the gradients of x, gain and bias in float64."""
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    axes, shape = tuple(i for i in range(x.ndim) if i != 1), (1, -1, *[1] * (x.ndim - 2))
    count = x.size // x.shape[1]
    mean, biased = (x.mean(axes), x.var(axes)) if given is None else given
    inv_std = 1 / np.sqrt(biased + EPS)
    normal = (x - mean.reshape(shape)) * inv_std.reshape(shape)
    y = normal * gain.reshape(shape) + bias.reshape(shape)
    if relu:
        y, dy = np.where(y <= 0, 0, y), np.where(y <= 0, 0, dy)
    dgain, dbias = (dy * normal).sum(axes), dy.sum(axes)
    dx = dy
    if given is None:
        dx = dy - (dbias.reshape(shape) + normal * dgain.reshape(shape)) / count
    variance = biased * count / max(1, count - 1) if given is None else biased
    return y, mean, variance, dx * (gain * inv_std).reshape(shape), dgain, dbias


def computed(x, dy, gain, bias, relu, given, read_y=False, in_place=False):
    """Return what `expected` does, from the kernel."""
    gain, bias = torch.from_numpy(gain.astype(np.float32)), torch.from_numpy(bias.astype(np.float32))
    given = given and tuple(torch.from_numpy(values.astype(np.float32)) for values in given)
    y, mean, variance, inv_std = batch_norm.forward(x, gain, bias, EPS, relu, given)
    dy = dy.clone()
    dx = dy if in_place else torch.full_like(x, 7)
    grads = batch_norm.backward(dy, x, y if read_y else None, (gain, bias), (mean, inv_std), relu, bool(given), dx)
    return [values.numpy() for values in (y, mean, variance, dx, *grads)]


def case(shape, seed=0):
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(rng.normal(0, 2), rng.uniform(0.5, 3), shape), rng.normal(size=shape)
    return x.astype(np.float32), dy.astype(np.float32), rng.uniform(-2, 2, shape[1]), rng.normal(size=shape[1])


def layout(array):
    return kernels.channels_last(array) if array.ndim == 4 else torch.from_numpy(array)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_kernel_equals_float64(shape, relu, given, threads):
    x, dy, gain, bias = case(shape)
    statistics = (np.linspace(-1, 1, shape[1]), np.linspace(0.5, 2, shape[1])) if given else None
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert batch_norm.is_supported(layout(x))
        variants = [
            computed(layout(x), layout(dy), gain, bias, relu, statistics, read_y, in_place)
            for read_y, in_place in ((False, False), (True, False), (False, True))
        ]
    finally:
        torch.set_num_threads(before)
    reference = expected(x, dy, gain, bias, relu, statistics)
    for number, (values, wanted) in enumerate(zip(variants[0], reference)):
        if x.size == shape[1] and number == 3 and not given:
            continue  # one value per channel: the gradient is 0, the result its rounding errors times 1 / sqrt(eps)
        assert np.abs(values - wanted).max() <= 3e-6 * max(1, np.abs(wanted).max()), number
    for variant in variants[1:]:
        for values, first in zip(variant, variants[0]):
            assert np.array_equal(values, first)


def test_large_mean_keeps_the_variance():
    """A standard deviation of 0.5 around 1000, where sums of squares in float32 lose all digits."""
    rng = np.random.default_rng(3)
    x = rng.normal(1000, 0.5, (8, 6, 31, 29)).astype(np.float32)
    x[:, 1] += np.linspace(0, 300, 8).reshape(-1, 1, 1)  # the first rows are no estimate of the mean
    _, mean, variance, _ = batch_norm.forward(kernels.channels_last(x), torch.ones(6), None, EPS, False)
    exact = x.astype(np.float64)
    assert np.allclose(mean.numpy(), exact.mean((0, 2, 3)), rtol=1e-7)
    assert np.allclose(variance.numpy(), exact.var((0, 2, 3), ddof=1), rtol=2e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_values_spread_as_with_pytorch(value):
    x, dy, gain, bias = case((4, 5, 6, 7))
    x[1, 2, 3, 4], x[3, 2, 0, 0], x[0, 4, 5, 6] = value, 1, np.float32(3e38)
    tensor, grad = kernels.channels_last(x), kernels.channels_last(dy)
    weights = [torch.from_numpy(w.astype(np.float32)) for w in (gain, bias)]
    running = [torch.zeros(5), torch.zeros(5)]
    y, mean, inv_std = torch.ops.aten.native_batch_norm(tensor, *weights, *running, True, 1.0, EPS)
    y.relu_()
    found = batch_norm.forward(tensor, *weights, EPS, True)
    for actual, wanted in zip(found, (y, *running, inv_std)):
        finite = torch.isfinite(wanted)
        assert torch.equal(torch.isfinite(actual), finite)
        assert torch.allclose(actual[finite], wanted[finite], rtol=1e-4, atol=1e-5)
        assert torch.equal(torch.isnan(actual), torch.isnan(wanted))
    masked = torch.ops.aten.threshold_backward(grad, y, 0)
    wanted = torch.ops.aten.native_batch_norm_backward(
        masked, tensor, weights[0], *running, mean, inv_std, True, EPS, [True] * 3
    )
    dx = torch.empty_like(tensor)
    grads = batch_norm.backward(grad, tensor, None, weights, (found[1], found[3]), True, False, dx)
    for actual, other in zip((dx, *grads), wanted):
        finite = torch.isfinite(other)
        assert torch.equal(torch.isfinite(actual), finite)
        assert torch.allclose(actual[finite], other[finite], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_repeated_runs_are_equal_bit_for_bit(threads):
    x, dy, gain, bias = case((9, 24, 13, 17), seed=5)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        first, second = (
            computed(kernels.channels_last(x), kernels.channels_last(dy), gain, bias, True, None) for _ in range(2)
        )
    finally:
        torch.set_num_threads(before)
    assert all(np.array_equal(a, b) for a, b in zip(first, second))


def test_other_tensors_are_left_to_pytorch():
    x = kernels.channels_last(np.ones((2, 3, 4, 5)))
    assert batch_norm.is_supported(x)
    assert not batch_norm.is_supported(x.contiguous())
    assert not batch_norm.is_supported(x.bfloat16())
    assert not batch_norm.is_supported(x[:, :2])
    assert not batch_norm.is_supported(x[:0])
    assert not batch_norm.is_supported(torch.ones(2, 3, 4))
