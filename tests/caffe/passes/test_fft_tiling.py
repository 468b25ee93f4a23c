"""Convolutions by Fourier transforms beside convolutions in float64."""

import pytest
import torch

from caffe.passes import fft_tiling

# (N, C, H, W), outputs, kernel, (pad down, pad across), groups, results a tile
CASES = [
    ((3, 4, 9, 11), 6, 3, (1, 1), 1, 4),  # tiles hang over both ends
    ((2, 6, 13, 10), 4, 5, (2, 0), 2, 7),
    ((2, 3, 8, 8), 5, 3, (0, 1), 1, 6),
    ((1, 2, 28, 28), 3, 5, (2, 2), 1, 14),
    ((2, 4, 7, 7), 4, 2, (0, 0), 4, 6),
    ((2, 3, 6, 6), 2, 7, (3, 3), 1, 6),  # a kernel larger than the plane
]


def _truth(x, weights, bias, dy, pad, group):
    """Result and derivatives by bottom and weights in float64."""
    x, weights = x.double().requires_grad_(True), weights.double().requires_grad_(True)
    y = torch.nn.functional.conv2d(x, weights, bias.double(), 1, pad, 1, group)
    return (y.detach(), *torch.autograd.grad(y, (x, weights), dy.double()))


def _error(values, truth):
    return float((values - truth).abs().max() / truth.abs().max())


def _by_plane(x):
    return x.permute(0, 3, 1, 2)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_result_and_derivatives_equal_the_direct_ones(case):
    (count, channels, *size), outputs, kernel, pad, group, step = case
    torch.manual_seed(1)
    tiles = fft_tiling.Tiling(kernel, pad, tuple(size), step, group)
    x, dy = torch.randn(count, *size, channels), torch.randn(count, *tiles.out, outputs)
    weights, bias = torch.randn(outputs, channels // group, kernel, kernel), torch.randn(outputs)
    source, kernels, top = tiles.spectrum(x), tiles.weights_spectrum(weights), tiles.top_spectrum(dy)
    mine = (
        _by_plane(tiles.top(torch.bmm(source, kernels.transpose(1, 2)), bias)),
        _by_plane(tiles.bottom(torch.bmm(top, kernels))),
        tiles.weights(torch.bmm(top.transpose(1, 2), source)),
    )
    for values, truth in zip(mine, _truth(_by_plane(x), weights, bias, _by_plane(dy), pad, group)):
        assert values.shape == truth.shape
        assert _error(values, truth) < 1e-6


def test_rounding_errors_are_no_larger_than_those_of_the_direct_convolution():
    torch.manual_seed(2)
    x, weights = torch.randn(4, 96, 28, 28).relu_(), torch.randn(64, 96, 5, 5)
    tiles = fft_tiling.Tiling(5, (2, 2), (28, 28), 14)
    kernels = tiles.weights_spectrum(weights)
    product = torch.bmm(tiles.spectrum(x.permute(0, 2, 3, 1).contiguous()), kernels.transpose(1, 2))
    truth = torch.nn.functional.conv2d(x.double(), weights.double(), None, 1, 2)
    direct = torch.nn.functional.conv2d(x, weights, None, 1, 2)
    assert _error(_by_plane(tiles.top(product)), truth) <= 1.5 * _error(direct, truth)
