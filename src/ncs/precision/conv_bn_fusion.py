"""Finds convolutions that the device's compiler fuses with the following BatchNorm and Scale layers.

The device never computes the values between them, and rounds the product of the weights to half precision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from caffe.net.net import Net


def versioned_blobs(net: Net) -> list[tuple[Any, list, list]]:
    """Return (layer, bottoms, tops) of every node; blobs are (name, version), in-place layers add a version."""
    current: dict[str, int] = {}
    rows = []
    for node in net.nodes:
        bottoms = [(name, current.get(name, 0)) for name in node.bottoms]
        for name in node.tops:
            current[name] = current.get(name, -1) + 1
        rows.append((node.layer, bottoms, [(name, current[name]) for name in node.tops]))
    return rows


@dataclasses.dataclass(frozen=True)
class FusedConvolution:
    """Index of a convolution's node, and of the fused BatchNorm and Scale nodes after it, in order."""

    first: int
    followers: tuple[int, ...]


def find_fusions(net: Net) -> list[FusedConvolution]:
    """Return the fused convolutions of `net` (phase TEST)."""
    rows = versioned_blobs(net)
    readers: dict[tuple[str, int], list[int]] = {}
    for number, (_, bottoms, _) in enumerate(rows):
        for key in bottoms:
            readers.setdefault(key, []).append(number)
    fusions = []
    for number, (layer, bottoms, tops) in enumerate(rows):
        if layer.type != "Convolution" or len(bottoms) != 1:
            continue
        followers, key = [], tops[0]
        while len(readers.get(key, ())) == 1 and _is_channel_affine(rows[readers[key][0]]):
            followers.append(readers[key][0])
            key = rows[followers[-1]][2][0]
        if followers:
            fusions.append(FusedConvolution(number, tuple(followers)))
    return fusions


def _is_channel_affine(row):
    """Return whether a layer multiplies each channel by a factor and adds a constant."""
    layer, bottoms, _ = row
    return len(bottoms) == 1 and (
        (layer.type == "BatchNorm" and layer.plain)
        or (layer.type == "Scale" and layer.param.scale_param.axis == 1 and len(layer.blobs[0].shape) == 1)
    )


def inner_nodes(fusions: Iterable[FusedConvolution]) -> set[int]:
    """Return the indices of the nodes whose tops are never computed: all of a fusion but its last node."""
    return {number for fusion in fusions for number in (fusion.first, *fusion.followers[:-1])}


def channel_factors(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return (factor, constant) per channel of a BatchNorm or Scale layer, in double precision."""
    blobs = [blob.data.astype(np.float64) for blob in layer.blobs]
    if layer.type == "Scale":
        return blobs[0], blobs[1] if len(blobs) > 1 else np.zeros_like(blobs[0])
    statistics_scale = 1 / blobs[2][0] if blobs[2][0] else 0.0
    factor = 1 / np.sqrt(blobs[1] * statistics_scale + layer.param.batch_norm_param.eps)
    return factor, -blobs[0] * statistics_scale * factor


def round_fused_weights(net: Net, fusion: FusedConvolution) -> tuple[int, int]:
    """Round the product of the weights of a fusion to half precision, in place.

    Afterwards the layers together compute the same as one convolution with the rounded product. Returns (number of
    values that overflow, number of values that become 0).
    """
    layers = [net.nodes[number].layer for number in (fusion.first, *fusion.followers)]
    convolution = layers[0]
    factor, constant = np.ones(1), np.zeros(1)
    for layer in layers[1:]:
        layer_factor, layer_constant = channel_factors(layer)
        factor, constant = factor * layer_factor, constant * layer_factor + layer_constant
    weights = convolution.blobs[0].data
    weight_factor = factor.reshape(-1, *[1] * (weights.ndim - 1))
    product = weights * weight_factor
    half = _to_half(product)
    divisor = np.where(weight_factor == 0, 1, weight_factor)
    convolution.blobs[0].data[...] = np.where(weight_factor == 0, weights, half / divisor)
    bias = convolution.blobs[1].data * factor + constant if len(convolution.blobs) > 1 else constant
    rounded = _to_half(bias)
    with np.errstate(invalid="ignore"):
        _add_bias(layers, np.nan_to_num(rounded - bias), np.where(factor == 0, 1, factor))
    pairs = ((product, half), (bias, rounded))
    return (
        int(sum(np.isinf(after).sum() for _, after in pairs)),
        int(sum(((after == 0) & (before != 0)).sum() for before, after in pairs)),
    )


def _to_half(array):
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float64)


def _add_bias(layers, difference, factor):
    """Add `difference` to the output of the fused layers, through the first layer that has a constant."""
    convolution, norm = layers[0], next((layer for layer in layers if layer.type == "BatchNorm"), None)
    if len(convolution.blobs) > 1:
        convolution.blobs[1].data[...] += difference / factor
    elif norm is not None:
        norm.blobs[0].data[...] -= difference / factor * norm.blobs[2].data[0]
    elif len(layers[-1].blobs) > 1:
        layers[-1].blobs[1].data[...] += difference
