"""Pass: convolutions with many channels, stride 1 and kernels above 1 x 1 are products of Fourier transforms."""

import functools
import math

import torch

from caffe import fourier

GAIN = 1.4  # how much cheaper the transforms must look, since processors differ
WIDEST = 32  # results a tile


def fourier_convolution(nodes):
    """Let such convolutions choose by shape between oneDNN and Fourier transforms (caffe.fourier).

    Both round differently in their last bits, the transforms less. The choice depends on shapes alone, so that a run
    is repeatable.
    """
    for i, node in enumerate(nodes):
        if node.layer.type == "Convolution" and node.layer.device.type == "cpu" and _fits(node):
            node.fast, node.reach = FourierConvolution(node.layer), (i, i)


def _fits(node):
    layer = node.layer
    if len(node.bottoms) > 1 or layer.channel != 1 or len(layer.window.kernel) != 2:
        return False
    (height, width), ones = layer.window.kernel, (1, 1)
    plain = height == width > 1 and layer.window.stride == layer.window.dilation == ones
    return plain and _tiling(layer, node.bottom_blobs[0].shape) is not None


def _tiling(layer, bottom):
    return tiling(tuple(bottom), layer.blobs[0].shape, layer.window.pad, layer.param.convolution_param.group)


@functools.lru_cache(maxsize=256)
def tiling(bottom, weights, pad, group):
    """The cheapest Tiling for a bottom and weights of these shapes; None where the direct convolution is cheaper."""
    (count, inputs, *size), (outputs, _, kernel, _) = bottom, weights
    if any(n + 2 * p < kernel for n, p in zip(size, pad)):
        return None
    choices = [fourier.Tiling(kernel, pad, tuple(size), step) for step in range(2, WIDEST + 1)]
    best = min(choices, key=lambda choice: _cost(choice, count, inputs, outputs, group))
    direct = count * math.prod(best.out) * kernel**2 * inputs * outputs / group
    return best if _cost(best, count, inputs, outputs, group) * GAIN < direct else None


def _cost(choice, count, inputs, outputs, group):
    """Of forward, or of half of backward, in multiplications and additions of the direct convolution.

    The numbers were fitted to 60 measurements of 13 layers (AVX-512, float32, one thread) and hit them within 14 %.
    """
    tiles, kernels = math.prod(choice.count) * count, inputs * outputs / group
    values = (65 + 3 * choice.tile) * tiles * (inputs + outputs)
    return choice.frequencies * (1.05 * tiles * kernels + 60 * kernels + values + 150 * tiles * group)


class FourierConvolution:
    """In the Convolution's place; where transforms do not pay the layer goes its own way."""

    def __init__(self, layer):
        self.layer, self.tape = layer, None

    def hand_over(self):
        self.tape = None  # the layer's backward runs its forward anew

    @torch.no_grad()
    def forward_blobs(self, bottoms, tops, record):
        self.layer.forget()
        self.tape = None
        x, group = bottoms[0].tensor.detach(), self.layer.param.convolution_param.group
        weights, *bias = (blob.tensor.detach() for blob in self.layer.blobs)
        tiles = _tiling(self.layer, x.shape)
        if tiles is None or torch.is_autocast_enabled("cpu"):
            return self.layer.forward_blobs(bottoms, tops, record)
        source, kernels = tiles.spectrum(_by_pixel(x.float())), tiles.weights_spectrum(weights)
        tops[0].set(tiles.top(fourier.mix(source, kernels, group), *bias).permute(0, 3, 1, 2))
        self.tape = (tiles, source, kernels) if record else None

    @torch.no_grad()
    def backward_blobs(self, tops, propagate_down, bottoms):
        if self.tape is None:
            return self.layer.backward_blobs(tops, propagate_down, bottoms)
        (tiles, source, kernels), group = self.tape, self.layer.param.convolution_param.group
        dy = _by_pixel(tops[0].grad.float())
        spectrum = tiles.top_spectrum(dy)
        want_weights, *want_bias = self.layer.param_propagate_down
        if want_weights:
            self.layer.blobs[0].add_grad(tiles.weights(fourier.correlate(spectrum, source, group)))
        if any(want_bias):
            self.layer.blobs[1].add_grad(dy.flatten(0, 2).sum(0))
        if propagate_down[0]:
            bottoms[0].set_grad(tiles.bottom(fourier.mix_back(spectrum, kernels, group)).permute(0, 3, 1, 2))


def _by_pixel(x):
    """N x H x W x C, in memory too."""
    return x.permute(0, 2, 3, 1).contiguous()
