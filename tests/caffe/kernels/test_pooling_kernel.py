"""The kernels of MAX pooling: equal to PyTorch bit for bit."""

import numpy as np
import pytest
import torch
from support import kernels

from caffe.kernels import pooling

kernels.require()

# images, channels, height, width; kernel, stride, pad
CASES = [
    ((3, 20, 24, 24), (2, 2), (2, 2), (0, 0)),
    ((3, 8, 9, 8), (3, 3), (2, 2), (0, 0)),
    ((4, 33, 8, 7), (3, 3), (2, 2), (1, 1)),
    ((3, 7, 6, 8), (3, 2), (2, 3), (0, 1)),
    ((3, 1, 5, 4), (3, 3), (1, 1), (1, 1)),
    ((3, 9, 1, 1), (1, 1), (1, 1), (0, 0)),
    ((3, 9, 7, 5), (1, 1), (2, 3), (0, 0)),
    ((3, 10, 17, 16), (16, 16), (1, 1), (8, 8)),
]


def same_bits(a, b):
    return np.array_equal(a.numpy().view(np.int32), b.numpy().view(np.int32))


def check(shape, kernel, stride, pad, x, threads, ceil_mode, dy_layout=torch.channels_last):
    bottom, before = kernels.channels_last(x), torch.get_num_threads()
    reference, bottom = bottom.clone().requires_grad_(), bottom.requires_grad_()
    wanted = torch.nn.functional.max_pool2d(reference, kernel, stride, pad, 1, ceil_mode)
    dy = torch.from_numpy(np.random.default_rng(2).normal(size=wanted.shape).astype(np.float32))
    torch.set_num_threads(threads)
    try:
        assert pooling.is_supported(bottom, kernel)
        top = pooling.maximum(bottom, wanted.shape[2:], kernel, stride, pad)
        (dx,) = torch.autograd.grad(top, bottom, dy.contiguous(memory_format=dy_layout))
    finally:
        torch.set_num_threads(before)
    assert same_bits(top.detach(), wanted.detach())
    assert same_bits(dx, torch.autograd.grad(wanted, reference, dy.contiguous(memory_format=torch.channels_last))[0])


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("case", CASES)
def test_kernel_equals_pytorch(case, threads, ceil_mode):
    rng = np.random.default_rng(1)
    check(*case, rng.normal(size=case[0]).astype(np.float32), threads, ceil_mode)
    check(*case, rng.integers(-1, 2, case[0]).astype(np.float32), threads, ceil_mode)  # many equal values


@pytest.mark.parametrize("case", CASES)
def test_not_finite_values_are_chosen_as_by_pytorch(case):
    rng = np.random.default_rng(3)
    x = rng.normal(size=case[0]).astype(np.float32)
    for value in (np.nan, np.inf, -np.inf, -0.0):
        x[rng.random(x.shape) < 0.1] = value
    check(*case, x, 2, True)
    check(*case, np.full(case[0], -np.inf, np.float32), 2, True)


def test_layout_of_the_diff_does_not_matter():
    x = np.random.default_rng(1).normal(size=CASES[0][0]).astype(np.float32)
    check(*CASES[0], x, 2, False, torch.contiguous_format)


def test_other_bottoms_are_left_to_pytorch():
    x, threads = kernels.channels_last(np.ones((2, 3, 20, 20))), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert pooling.is_supported(x, (3, 3))
        assert not pooling.is_supported(x, (17, 16))
        assert not pooling.is_supported(x[:1], (3, 3))
        assert not pooling.is_supported(x.contiguous(), (3, 3))
        assert not pooling.is_supported(x.bfloat16(), (3, 3))
        assert not pooling.is_supported(x[:0], (3, 3))
    finally:
        torch.set_num_threads(threads)
