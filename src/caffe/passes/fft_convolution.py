"""Pass: convolutions with many channels, stride 1 and kernels above 1 x 1 are products of Fourier transforms."""

import functools
import math

import torch

from caffe.passes.fft_tiling import Tiling

GAIN = 1.3  # how much cheaper the transforms must look, since processors differ
WIDEST = 32  # results a tile
AMX = getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16", False)
VECTOR = 16 if "AVX512" in torch.backends.cpu.get_cpu_capability() else 8  # floats in a register


def fourier_convolution(nodes):
    """Let such convolutions choose by shape between oneDNN and Fourier transforms (caffe.passes.fft_tiling).

    Both round differently in their last bits, the transforms less. The choice depends on shapes alone, so that a run
    is repeatable.
    """
    for i, node in enumerate(nodes):
        if node.layer.type == "Convolution" and node.layer.device.type == "cpu" and _fits(node):
            node.fast, node.reach = FourierConvolution(node.layer), (i, i)


def _fits(node):
    layer = node.layer
    if len(node.bottoms) > 1 or layer.channel != 1 or len(layer.window.kernel) != 2 or layer.window.end is not None:
        return False
    (height, width), ones = layer.window.kernel, (1, 1)
    return height == width > 1 and layer.window.stride == layer.window.dilation == ones


def _tiling(layer, bottom, kind=torch.float32):
    shapes = tuple(bottom), layer.blobs[0].shape
    return tiling(*shapes, layer.window.pad, layer.param.convolution_param.group, kind)


@functools.lru_cache(maxsize=256)
def tiling(bottom, weights, pad, group, kind=torch.float32):
    """The cheapest Tiling for a bottom and weights of these shapes; None where the direct convolution is cheaper.

    With `kind` bfloat16 products cost half in either way. Where the processor multiplies whole tiles of bfloat16 (AMX),
    nothing is cheaper than that.
    """
    (count, inputs, *size), (outputs, _, kernel, _) = bottom, weights
    if any(n + 2 * p < kernel for n, p in zip(size, pad)) or (kind == torch.bfloat16 and AMX):
        return None
    product = 0.5 if kind == torch.bfloat16 else 1

    def cost(choice):
        return _cost(choice, count, inputs, outputs, group, product)

    steps = range(kernel - 1, max(kernel, WIDEST) + 1)
    best = min((Tiling(kernel, pad, tuple(size), step, group) for step in steps), key=cost)
    direct = product * count * math.prod(best.out) * kernel**2 * _filled(inputs) * _filled(outputs) / group
    return best if cost(best) * GAIN < direct else None


def _filled(channels):
    """The channels that the direct convolution computes: whole registers, except of the few that a picture has."""
    return channels if channels < VECTOR else -(-channels // VECTOR) * VECTOR


def _cost(choice, count, inputs, outputs, group, product):
    """Of forward, or of half of backward, in multiplications and additions of the direct convolution.

    The numbers were fitted to 60 measurements of 13 layers (AVX-512, float32, one thread) and hit most within a tenth.
    """
    tiles, kernels = math.prod(choice.count) * count, inputs * outputs / group
    transforms = (60 + 3.5 * choice.tile) * tiles * (inputs + outputs) + 70 * kernels
    return choice.frequencies * (1.1 * product * tiles * kernels + transforms)


class FourierConvolution:
    """In the Convolution's place; where transforms do not pay the layer goes its own way."""

    def __init__(self, layer):
        self.layer, self.tape = layer, None

    def fall_back(self):
        self.tape = None  # the layer's backward runs its forward anew

    @torch.no_grad()
    def forward_blobs(self, bottoms, tops, record):
        self.layer.release()
        self.tape = None
        x = bottoms[0].tensor.detach()
        kind = torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32
        tiles = _tiling(self.layer, x.shape, kind)
        if tiles is None:
            return self.layer.forward_blobs(bottoms, tops, record)
        with torch.autocast("cpu", enabled=False):  # transforms are float32 always
            y, *spectra = self._convolved(tiles, _by_pixel(x), kind)
        tops[0].set(_by_plane(y, kind))
        self.tape = (tiles, *spectra) if record else None

    def _convolved(self, tiles, x, kind):
        """(result, spectrum of `x`, spectrum of the weights), the spectra in `kind`"""
        weights, *bias = (blob.tensor.detach() for blob in self.layer.blobs)
        source, kernels = tiles.spectrum(x).to(kind), tiles.weights_spectrum(weights).to(kind)
        return tiles.top(torch.bmm(source, kernels.transpose(1, 2)).float(), *bias), source, kernels

    @torch.no_grad()
    def backward_blobs(self, tops, propagate_down, bottoms):
        if self.tape is None:
            return self.layer.backward_blobs(tops, propagate_down, bottoms)
        tiles, source, kernels = self.tape
        dy = _by_pixel(tops[0].grad)
        top = tiles.top_spectrum(dy).to(source.dtype)
        want_weights, *want_bias = self.layer.param_propagate_down
        if want_weights:
            self.layer.blobs[0].add_grad(tiles.weights(torch.bmm(top.transpose(1, 2), source).float()))
        if any(want_bias):
            self.layer.blobs[1].add_grad(dy.flatten(0, 2).sum(0))
        if propagate_down[0]:
            dx = tiles.bottom(torch.bmm(top, kernels).float())
            bottoms[0].set_grad(_by_plane(dx, source.dtype))


def _by_pixel(x):
    """float32 N x H x W x C, in memory too."""
    return x.permute(0, 2, 3, 1).float().contiguous()


def _by_plane(x, kind):
    return x.permute(0, 3, 1, 2).to(kind)
