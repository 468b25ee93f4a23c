"""Scales weights by powers of two so that a net's values fit half precision without changing its outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ncs.precision.conv_bn_fusion import versioned_blobs

if TYPE_CHECKING:
    from caffe.net.net import Net

MAX_SCALED = 32768.0  # largest value after scaling: half of the FP16 range
_WEIGHTED = ("Convolution", "InnerProduct", "Deconvolution", "Scale")
_SAME = (
    "ReLU",
    "PReLU",
    "Pooling",
    "Dropout",
    "Split",
    "Flatten",
    "Reshape",
    "Concat",
    "Slice",
    "Crop",
    "Permute",
    "BatchNorm",
)  # BatchNorm: its mean is scaled like its bottom; its variance, and so its divisor, is unchanged


class _Groups:
    """Blobs that must have the same factor: union-find over (blob, version)."""

    def __init__(self):
        self.parent = {}

    def find(self, key):
        self.parent.setdefault(key, key)
        while self.parent[key] != key:
            key = self.parent[key]
        return key

    def join(self, keys):
        roots = [self.find(key) for key in keys]
        for root in roots[1:]:
            self.parent[self.find(root)] = self.find(roots[0])


def plan(net: Net, largest: Mapping[str, float]) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """Choose factors that bring every value below 32768.

    A factor passes unchanged through layers that scale with their input (ReLU, Pooling, Eltwise sums ...); layers with
    weights may change it; all other layers, and the output, need unscaled values.

    Parameters
    ----------
    net : Net
    largest : mapping
        Layer name -> largest |value| of its top in float32.

    Returns
    -------
    scales : dict
        Layer name -> (factor of its bottom, factor of its top).
    stuck : list of str
        Layers that overflow but cannot be scaled.
    """
    nodes, groups, unscaled = versioned_blobs(net), _Groups(), set()
    for layer, bottoms, tops in nodes:
        if layer.type in _WEIGHTED and len(bottoms) == 1:
            continue
        if _scales_with_input(layer):
            groups.join(bottoms + tops)
        else:
            unscaled.update(bottoms + tops)
    final = {top: key for _, _, tops in nodes for key in tops for top in [key[0]]}
    unscaled.update(final[name] for name in [*net.outputs, *net.inputs])
    roots = {groups.find(key) for key in unscaled}
    group_largest: dict = {}
    for layer, _, tops in nodes:
        for key in tops:
            root = groups.find(key)
            group_largest[root] = max(group_largest.get(root, 0.0), largest.get(layer.name, 0.0))
    factor = {root: 1.0 if root in roots else _power_of_two(value) for root, value in group_largest.items()}
    scales = {
        layer.name: (factor[groups.find(bottoms[0])], factor[groups.find(tops[0])])
        for layer, bottoms, tops in nodes
        if layer.type in (*_WEIGHTED, "BatchNorm") and bottoms
    }
    stuck = [
        layer.name
        for layer, _, tops in nodes
        if tops and groups.find(tops[0]) in roots and largest.get(layer.name, 0.0) > 65504
    ]
    return {name: pair for name, pair in scales.items() if pair != (1.0, 1.0)}, stuck


def _scales_with_input(layer):
    if layer.type == "Eltwise":
        p = layer.param.eltwise_param
        return p.operation in (p.SUM, p.MAX)
    return layer.type in _SAME


def _power_of_two(value):
    return 1.0 if not np.isfinite(value) or value < 65504 else 2.0 ** -math.ceil(math.log2(value / MAX_SCALED))


def apply(net: Net, scales: Mapping[str, tuple[float, float]]) -> None:
    """Scale the weights of `net` in place with the factors of `plan`."""
    types = {node.layer.name: node.layer.type for node in net.nodes}
    for name, (bottom, top) in scales.items():
        blobs = net.params[name]
        if types[name] == "BatchNorm":
            blobs[0].data[...] *= bottom
            continue
        blobs[0].data[...] *= top / bottom
        for blob in blobs[1:]:
            blob.data[...] *= top


def describe(scales: Mapping[str, tuple[float, float]], net: Net) -> list[str]:
    """Return one line per layer: the factors of its weights and its bias."""
    types = {node.layer.name: node.layer.type for node in net.nodes}
    rows = []
    for name, (bottom, top) in scales.items():
        if types[name] == "BatchNorm":
            rows.append(f"{name}: mean x {_text(bottom)}")
        elif len(net.params[name]) > 1:
            rows.append(f"{name}: weights x {_text(top / bottom)}, bias x {_text(top)}")
        else:
            rows.append(f"{name}: weights x {_text(top / bottom)}")
    return rows


def _text(factor):
    return f"2^{round(math.log2(factor))}" if factor != 1 else "1"
