"""Convolutions that a device's compiler makes one layer with the BatchNorm and Scale behind them.

Their values in between are never formed there, and what is rounded to half precision is the product of the weights.
"""

from __future__ import annotations

import dataclasses

import numpy as np


def versioned(net):
    """(layer, bottoms, tops) of every node, blobs as (name, number of its writer): layers in place are told apart."""
    current, rows = {}, []
    for node in net._nodes:
        bottoms = [(name, current.get(name, 0)) for name in node.bottoms]
        for name in node.tops:
            current[name] = current.get(name, -1) + 1
        rows.append((node.layer, bottoms, [(name, current[name]) for name in node.tops]))
    return rows


@dataclasses.dataclass(frozen=True)
class FusedConvolution:
    """A convolution (index of its node) and the BatchNorm and Scale nodes behind it, in order."""

    first: int
    behind: tuple


def merges(net):
    """[Merge] of `net` (phase TEST)."""
    rows, readers = versioned(net), {}
    for number, (_, bottoms, _) in enumerate(rows):
        for key in bottoms:
            readers.setdefault(key, []).append(number)
    found = []
    for number, (layer, bottoms, tops) in enumerate(rows):
        if layer.type != "Convolution" or len(bottoms) != 1:
            continue
        behind, key = [], tops[0]
        while len(readers.get(key, ())) == 1 and _linear(rows[readers[key][0]]):
            behind.append(readers[key][0])
            key = rows[behind[-1]][2][0]
        if behind:
            found.append(FusedConvolution(number, tuple(behind)))
    return found


def _linear(row):
    """Whether a layer is a factor and an addend for each channel."""
    layer, bottoms, _ = row
    return len(bottoms) == 1 and (
        (layer.type == "BatchNorm" and layer.plain)
        or (layer.type == "Scale" and layer.param.scale_param.axis == 1 and len(layer.blobs[0].shape) == 1)
    )


def inner(found):
    """Indices of the nodes whose tops are never formed: all of a Merge but its last."""
    return {number for merge in found for number in (merge.first, *merge.behind[:-1])}


def channel_factors(layer):
    """(factor, addend) by channel of a BatchNorm or Scale, in double precision."""
    blobs = [blob.data.astype(np.float64) for blob in layer.blobs]
    if layer.type == "Scale":
        return blobs[0], blobs[1] if len(blobs) > 1 else np.zeros_like(blobs[0])
    share = 1 / blobs[2][0] if blobs[2][0] else 0.0
    factor = 1 / np.sqrt(blobs[1] * share + layer.param.batch_norm_param.eps)
    return factor, -blobs[0] * share * factor


def round_together(net, merge):
    """Round the weights of a Merge as one layer's: (how many overflow, how many become 0).

    Afterwards the layers together compute what one convolution with the rounded product would.
    """
    layers = [net._nodes[number].layer for number in (merge.first, *merge.behind)]
    convolution = layers[0]
    factor, addend = np.ones(1), np.zeros(1)
    for layer in layers[1:]:
        by, plus = channel_factors(layer)
        factor, addend = factor * by, addend * by + plus
    weights = convolution.blobs[0].data
    spread = factor.reshape(-1, *[1] * (weights.ndim - 1))
    product = weights * spread
    half = _half(product)
    usable = np.where(spread == 0, 1, spread)
    convolution.blobs[0].data[...] = np.where(spread == 0, weights, half / usable)
    bias = convolution.blobs[1].data * factor + addend if len(convolution.blobs) > 1 else addend
    rounded = _half(bias)
    with np.errstate(invalid="ignore"):
        _shift(layers, np.nan_to_num(rounded - bias), np.where(factor == 0, 1, factor))
    pairs = ((product, half), (bias, rounded))
    return (
        int(sum(np.isinf(after).sum() for _, after in pairs)),
        int(sum(((after == 0) & (before != 0)).sum() for before, after in pairs)),
    )


def _half(array):
    with np.errstate(over="ignore"):
        return array.astype(np.float16).astype(np.float64)


def _shift(layers, by, factor):
    """Add `by` to what the layers make together, through whichever has a constant to add."""
    convolution, norm = layers[0], next((layer for layer in layers if layer.type == "BatchNorm"), None)
    if len(convolution.blobs) > 1:
        convolution.blobs[1].data[...] += by / factor
    elif norm is not None:
        norm.blobs[0].data[...] -= by / factor * norm.blobs[2].data[0]
    elif len(layers[-1].blobs) > 1:
        layers[-1].blobs[1].data[...] += by
