"""The kernel of the gradient of a convolution's weights compared with PyTorch in float64."""

import numpy as np
import pytest
import torch
from support import kernels

from caffe.kernels import convolution

kernels.require()

# images, channels, height, width; outputs, kernel, stride, pad
CASES = [
    ((2, 3, 9, 8), 5, (5, 5), (1, 1), (2, 2)),
    ((5, 20, 12, 12), 50, (5, 5), (1, 1), (0, 0)),
    ((3, 1, 28, 28), 20, (5, 5), (1, 1), (0, 0)),
    ((1, 1, 1, 1), 1, (1, 1), (1, 1), (0, 0)),
    ((7, 6, 3, 2), 6, (1, 1), (1, 1), (0, 0)),
    ((2, 4, 17, 13), 7, (3, 2), (2, 3), (1, 0)),
    ((2, 3, 30, 300), 13, (3, 7), (1, 1), (1, 3)),
    ((1, 9, 40, 33), 12, (7, 7), (2, 2), (3, 3)),
    ((2, 2, 2, 2), 3, (4, 5), (1, 1), (3, 4)),
    ((2, 2, 5, 4), 3, (1, 1), (3, 2), (1, 2)),
]


def computed(shape, outputs, kernel, stride, pad, values, threads, layout=torch.channels_last):
    """Return the kernel's gradients, and those of PyTorch in float64."""
    weight = torch.zeros(outputs, shape[1], *kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(outputs, dtype=torch.float64, requires_grad=True)
    x = kernels.channels_last(values(shape))
    top = torch.nn.functional.conv2d(x.double(), weight, bias, stride, pad)
    dy = torch.from_numpy(values(top.shape)).contiguous(memory_format=layout)
    assert convolution.is_supported(x)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = convolution.weights_gradient(x, dy, kernel, stride, pad)
    finally:
        torch.set_num_threads(before)
    return found, torch.autograd.grad(top, (weight, bias), dy.double())


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("case", CASES)
def test_kernel_equals_float64(case, threads):
    rng = np.random.default_rng(3)
    found, expected = computed(*case, lambda shape: rng.normal(size=shape).astype(np.float32), threads)
    for values, wanted in zip(found, expected):
        assert values.shape == wanted.shape and values.is_contiguous()
        assert (values - wanted).abs().max() <= 3e-6 * max(1, wanted.abs().max())


def test_layout_of_the_diff_does_not_matter():
    values = lambda shape: np.random.default_rng(3).normal(size=shape).astype(np.float32)  # noqa: E731
    found = [computed(*CASES[0], values, 2, layout)[0] for layout in (torch.channels_last, torch.contiguous_format)]
    assert all(map(torch.equal, *found))


def test_not_finite_values_reach_the_weights_that_they_meet():
    rng = np.random.default_rng(4)

    def values(shape):
        array = rng.normal(size=shape).astype(np.float32)
        array[rng.random(shape) < 0.003] = rng.choice([np.nan, np.inf, -np.inf])
        return array

    found, expected = computed((3, 6, 14, 15), 9, (5, 3), (1, 2), (0, 0), values, 2)
    for gradient, wanted in zip(found, expected):
        assert not torch.isfinite(wanted).all() and torch.isfinite(wanted).any()
        assert np.allclose(gradient.numpy(), wanted.float().numpy(), rtol=1e-5, atol=1e-4, equal_nan=True)


def test_long_sums_stay_accurate():
    shape, ones = (64, 1, 40, 40), lambda shape: np.full(shape, 1.1, np.float32)
    found, expected = computed(shape, 2, (3, 3), (1, 1), (1, 1), ones, 1)
    for values, wanted in zip(found, expected):
        assert ((values - wanted).abs() / wanted).max() < 1e-5


def test_other_bottoms_are_left_to_pytorch():
    x = kernels.channels_last(np.ones((2, 3, 4, 4)))
    assert convolution.is_supported(x)
    assert not convolution.is_supported(x.contiguous())
    assert not convolution.is_supported(x.bfloat16())
    assert not convolution.is_supported(x[:0])
