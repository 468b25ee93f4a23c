"""The depthwise convolution kernel compared with PyTorch in float64."""

import pytest
import torch
import torch.nn.functional as F
from support import kernels

from caffe.kernels import depthwise
from caffe.layers._convolution import Window

kernels.require()

SHAPES = [(2, 16, 7, 9), (3, 48, 8, 6), (1, 16, 1, 1), (2, 32, 2, 2), (1, 16, 1, 5), (4, 16, 3, 1), (1, 32, 70, 5)]


def _arrays(shape, stride):
    torch.manual_seed(3)
    x = torch.randn(shape).contiguous(memory_format=torch.channels_last).requires_grad_(True)
    weight, bias = (torch.randn(s).requires_grad_(True) for s in ((shape[1], 1, 3, 3), (shape[1],)))
    dy = torch.randn(shape[0], shape[1], *((n - 1) // stride + 1 for n in shape[2:]))
    return x, weight, bias, dy


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_result_and_gradients_equal_pytorch(shape, stride, threads):
    x, weight, bias, dy = _arrays(shape, stride)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert depthwise.is_supported(x, weight, Window((3, 3), (stride, stride), (1, 1), (1, 1)))
        y = depthwise.convolve(x, weight, bias, stride)
        actual = y.detach(), *torch.autograd.grad(y, (x, weight, bias), dy)
    finally:
        torch.set_num_threads(before)
    inputs = [t.detach().double().requires_grad_(True) for t in (x, weight, bias)]
    y = F.conv2d(*inputs, stride, 1, 1, shape[1])
    expected = y.detach(), *torch.autograd.grad(y, inputs, dy.double())
    for value, reference in zip(actual, expected):
        assert value.shape == reference.shape
        torch.testing.assert_close(value.double(), reference, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("special", [float("nan"), float("inf")])
def test_nan_and_infinity_come_through(stride, special):
    x, weight, bias, dy = _arrays((2, 16, 6, 7), stride)
    with torch.no_grad():
        x[1, 3, 2, 4] = special
    dy[0, 5, 1, 1] = special
    y = depthwise.convolve(x, weight, bias, stride)
    expected = F.conv2d(x, weight, bias, stride, 1, 1, 16)
    grads = [torch.autograd.grad(top, (x, weight, bias), dy) for top in (y, expected)]
    for value, reference in zip((y, *grads[0]), (expected, *grads[1])):
        torch.testing.assert_close(value, reference, rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize(
    ("shape", "weights", "window"),
    [
        ((2, 12, 6, 6), (12, 1, 3, 3), ((3, 3), (1, 1), (1, 1), (1, 1))),  # channels
        ((2, 16, 6, 6), (32, 1, 3, 3), ((3, 3), (1, 1), (1, 1), (1, 1))),  # two kernels per channel
        ((2, 16, 6, 6), (16, 1, 3, 3), ((3, 3), (1, 2), (1, 1), (1, 1))),  # strides
        ((2, 16, 6, 6), (16, 1, 3, 3), ((3, 3), (1, 1), (0, 0), (1, 1))),  # padding
        ((2, 16, 6, 6), (16, 1, 5, 5), ((5, 5), (1, 1), (1, 1), (1, 1))),  # kernel
        ((0, 16, 6, 6), (16, 1, 3, 3), ((3, 3), (1, 1), (1, 1), (1, 1))),  # empty
    ],
)
def test_other_convolutions_are_left_to_pytorch(shape, weights, window):
    x = torch.empty(shape).contiguous(memory_format=torch.channels_last)
    assert not depthwise.is_supported(x, torch.empty(weights), Window(*window))
