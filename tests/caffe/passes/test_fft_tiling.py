"""Fourier convolution compared with direct convolution in float64."""

import pytest
import torch

from caffe.passes import fft_tiling

# (N, C, H, W), outputs, kernel, (vertical pad, horizontal pad), groups, results per tile
CASES = [
    ((3, 4, 9, 11), 6, 3, (1, 1), 1, 4),  # tiles extend beyond both ends
    ((2, 6, 13, 10), 4, 5, (2, 0), 2, 7),
    ((2, 3, 8, 8), 5, 3, (0, 1), 1, 6),
    ((1, 2, 28, 28), 3, 5, (2, 2), 1, 14),
    ((2, 4, 7, 7), 4, 2, (0, 0), 4, 6),
    ((2, 3, 6, 6), 2, 7, (3, 3), 1, 6),  # a kernel larger than the plane
]


def _reference(x, weights, bias, dy, pad, group):
    """Compute result and gradients with respect to bottom and weights in float64."""
    x, weights = x.double().requires_grad_(True), weights.double().requires_grad_(True)
    y = torch.nn.functional.conv2d(x, weights, bias.double(), 1, pad, 1, group)
    return (y.detach(), *torch.autograd.grad(y, (x, weights), dy.double()))


def _error(values, expected):
    return float((values - expected).abs().max() / expected.abs().max())


def _to_nchw(x):
    return x.permute(0, 3, 1, 2)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_result_and_gradients_equal_direct_convolution(case):
    (count, channels, *size), outputs, kernel, pad, group, step = case
    torch.manual_seed(1)
    tiles = fft_tiling.Tiling(kernel, pad, tuple(size), step, group)
    x, dy = torch.randn(count, *size, channels), torch.randn(count, *tiles.out, outputs)
    weights, bias = torch.randn(outputs, channels // group, kernel, kernel), torch.randn(outputs)
    source, kernels, top = tiles.spectrum(x), tiles.weights_spectrum(weights), tiles.top_spectrum(dy)
    actual = (
        _to_nchw(tiles.top(tiles.top_waves(torch.bmm(source, kernels.transpose(1, 2))), bias)),
        _to_nchw(tiles.bottom(tiles.bottom_waves(torch.bmm(top, kernels)))),
        tiles.weights(torch.bmm(top.transpose(1, 2), source)),
    )
    for values, expected in zip(actual, _reference(_to_nchw(x), weights, bias, _to_nchw(dy), pad, group)):
        assert values.shape == expected.shape
        assert _error(values, expected) < 1e-6


def test_rounding_errors_are_as_small_as_of_direct_convolution():
    torch.manual_seed(2)
    x, weights = torch.randn(4, 96, 28, 28).relu_(), torch.randn(64, 96, 5, 5)
    tiles = fft_tiling.Tiling(5, (2, 2), (28, 28), 14)
    kernels = tiles.weights_spectrum(weights)
    product = torch.bmm(tiles.spectrum(x.permute(0, 2, 3, 1).contiguous()), kernels.transpose(1, 2))
    expected = torch.nn.functional.conv2d(x.double(), weights.double(), None, 1, 2)
    direct = torch.nn.functional.conv2d(x, weights, None, 1, 2)
    assert _error(_to_nchw(tiles.top(tiles.top_waves(product))), expected) <= 1.5 * _error(direct, expected)
