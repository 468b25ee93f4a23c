"""Pass: convolutions with many channels, stride 1 and kernels above 1 x 1 are computed by Fourier transforms."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch

from caffe.passes.fft_tiling import Tiling

GAIN = 1.3  # required advantage of the estimated cost, since processors differ
WIDEST = 32  # largest number of results per tile and axis
_CAPABILITIES: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
AMX = _CAPABILITIES.get("amx_bf16", False)
VECTOR = 16 if "AVX512" in torch.backends.cpu.get_cpu_capability() else 8  # floats per vector register


def fourier_convolution(nodes: Sequence[Any]) -> None:
    """Select between oneDNN and Fourier transforms (caffe.passes.fft_tiling) for each suitable convolution.

    The two differ in the last bits; the transforms have the smaller rounding error. The choice depends on shapes alone,
    so runs are reproducible.
    """
    for i, node in enumerate(nodes):
        if node.layer.type == "Convolution" and node.layer.device.type == "cpu" and _is_suitable(node):
            node.fast, node.reach = FourierConvolution(node.layer), (i, i)


def _is_suitable(node):
    layer = node.layer
    if len(node.bottoms) > 1 or layer.channel != 1 or len(layer.window.kernel) != 2 or layer.window.end is not None:
        return False
    (height, width), ones = layer.window.kernel, (1, 1)
    return height == width > 1 and layer.window.stride == layer.window.dilation == ones


def _layer_tiling(layer, bottom, dtype=torch.float32):
    shapes = tuple(bottom), layer.blobs[0].shape
    return tiling(*shapes, layer.window.pad, layer.param.convolution_param.group, dtype)


@functools.lru_cache(maxsize=256)
def tiling(bottom: tuple, weights: tuple, pad: tuple, group: int, dtype: Any = torch.float32) -> Tiling | None:
    """Return the cheapest Tiling, or None if the direct convolution is cheaper.

    Parameters
    ----------
    bottom : tuple of int
        N, C, H, W.
    weights : tuple of int
        Outputs, inputs per group, kernel, kernel.
    pad : tuple of int
        Zeros around the image, vertically and horizontally.
    group : int
    dtype : torch.dtype
        With bfloat16, products cost half in both methods, and on processors with AMX the direct method always wins.
    """
    (count, inputs, *size), (outputs, _, kernel, _) = bottom, weights
    if any(n + 2 * p < kernel for n, p in zip(size, pad)) or (dtype == torch.bfloat16 and AMX):
        return None
    product = 0.5 if dtype == torch.bfloat16 else 1

    def cost(candidate):
        return _cost(candidate, count, inputs, outputs, group, product)

    steps = range(kernel - 1, max(kernel, WIDEST) + 1)
    best = min((Tiling(kernel, pad, tuple(size), step, group) for step in steps), key=cost)
    direct = product * count * math.prod(best.out) * kernel**2 * _round_up(inputs) * _round_up(outputs) / group
    return best if cost(best) * GAIN < direct else None


def saved_operations(nodes: Sequence[Any]) -> float:
    """Return the multiply-adds that the transforms save in one forward pass with the present shapes."""
    saved = 0.0
    for node in nodes:
        if not isinstance(node.fast, FourierConvolution):
            continue
        shape, (outputs, inputs, kernel, _) = node.bottom_blobs[0].shape, node.layer.blobs[0].shape
        tiles = _layer_tiling(node.layer, shape)
        if tiles is not None:
            group = node.layer.param.convolution_param.group
            direct = shape[0] * math.prod(tiles.out) * kernel**2 * inputs * outputs
            saved += direct - _cost(tiles, shape[0], shape[1], outputs, group, 1)
    return saved


def _round_up(channels):
    """Round up to whole vector registers, as the direct convolution does except for the few channels of an image."""
    return channels if channels < VECTOR else -(-channels // VECTOR) * VECTOR


def _cost(choice, count, inputs, outputs, group, product):
    """Estimate the cost of forward (or half of backward) in multiply-adds of the direct convolution.

    The coefficients were fitted to 60 measurements of 13 layers (AVX-512, float32, one thread); most estimates are
    within 10 %.
    """
    tiles, kernels = math.prod(choice.count) * count, inputs * outputs / group
    transforms = (60 + 3.5 * choice.tile) * tiles * (inputs + outputs) + 70 * kernels
    return choice.frequencies * (1.1 * product * tiles * kernels + transforms)


class FourierConvolution:
    """Runner for Convolution; it calls the layer itself for shapes where transforms are not cheaper."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.rectifying: Any = None  # a runner of the layer that includes the ReLU (see relu_in_convolution)
        # whether backward finds the spectra of forward, or computes them again to save memory
        self.keep_bottom_spectrum = self.keep_weights_spectrum = True
        self.tape: Any = None  # (tiling, spectrum of the bottom or None, of the weights or None, bottom, dtype)

    def fall_back(self) -> None:
        self.tape = None  # the layer's backward runs its forward again

    def release(self) -> None:
        """Free what the last forward saved for backward."""
        self.tape = None

    @torch.no_grad()
    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        self.layer.release()
        self.tape = None
        if self.rectifying is not None:
            self.rectifying.fall_back()
        x = bottoms[0].tensor.detach()
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32
        tiles = _layer_tiling(self.layer, x.shape, dtype)
        if tiles is None:
            return (self.rectifying or self.layer).forward_blobs(bottoms, tops, record)
        with torch.autocast("cpu", enabled=False):  # transforms are always float32
            source, kernels = self._spectrum(tiles, x, dtype), self._kernels(tiles, dtype)
            if record:
                kept = source if self.keep_bottom_spectrum else None, kernels if self.keep_weights_spectrum else None
                self.tape = (tiles, *kept, x, dtype)
                del kept
            product = torch.bmm(source, kernels.transpose(1, 2)).float()
            del source, kernels
            waves = tiles.top_waves(product)
            del product
            bias = [blob.tensor.detach() for blob in self.layer.blobs[1:]]
            tops[0].set(_to_nchw(tiles.top(waves, *bias), dtype))

    @staticmethod
    def _spectrum(tiles, x, dtype):
        return tiles.spectrum(_to_nhwc(x)).to(dtype)

    def _kernels(self, tiles, dtype):
        """Return the spectrum of the weights."""
        return tiles.weights_spectrum(self.layer.blobs[0].tensor.detach()).to(dtype)

    @torch.no_grad()
    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        if self.tape is None:
            return self.layer.backward_blobs(tops, propagate_down, bottoms)
        tiles, source, kernels, x, dtype = self.tape
        dy = _to_nhwc(tops[0].grad)
        top = tiles.top_spectrum(dy).to(dtype)
        weights_need_grad, *bias_needs_grad = self.layer.param_propagate_down
        if any(bias_needs_grad):
            self.layer.blobs[1].add_grad(dy.flatten(0, 2).sum(0))
        del dy
        if weights_need_grad:
            source = self._spectrum(tiles, x, dtype) if source is None else source
            product = torch.bmm(top.transpose(1, 2), source).float()
            del source
            self.layer.blobs[0].add_grad(tiles.weights(product))
            del product
        if propagate_down[0]:
            kernels = self._kernels(tiles, dtype) if kernels is None else kernels
            product = torch.bmm(top, kernels).float()
            del top, kernels
            waves = tiles.bottom_waves(product)
            del product
            bottoms[0].set_grad(_to_nchw(tiles.bottom(waves), dtype))


def _to_nhwc(x):
    """Return contiguous float32 N x H x W x C."""
    return x.permute(0, 2, 3, 1).float().contiguous()


def _to_nchw(x, dtype):
    return x.permute(0, 3, 1, 2).to(dtype)
