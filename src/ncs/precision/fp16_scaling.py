"""Powers of two by which to scale weights so that a net's values fit half precision, its answers staying what they are."""

from __future__ import annotations

import math

import numpy as np

from ncs.precision.conv_bn_fusion import versioned

HEADROOM = 32768.0  # the greatest value wanted after scaling: half of what half precision holds
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
)  # whose mean takes the factor of its bottom; its variance stays, and so does what it divides by


class _Groups:
    """Blobs that must carry one factor: union-find over (blob, version)."""

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


def plan(net, largest):
    """Factors that bring every value under 32768: ({layer: (factor of its bottom, of its top)}, [layers beyond help]).

    `largest` is layer name -> greatest |value| of its top in float32. A factor passes unchanged through layers that scale
    with their input (ReLU, Pooling, Eltwise sums ...); layers with weights may change it; all others, and the answer,
    need values as they are.
    """
    nodes, groups, pinned = versioned(net), _Groups(), set()
    for layer, bottoms, tops in nodes:
        if layer.type in _WEIGHTED and len(bottoms) == 1:
            continue
        if _passes(layer):
            groups.join(bottoms + tops)
        else:
            pinned.update(bottoms + tops)
    final = {top: key for _, _, tops in nodes for key in tops for top in [key[0]]}
    pinned.update(final[name] for name in [*net.outputs, *net.inputs])
    roots = {groups.find(key) for key in pinned}
    most = {}
    for layer, _, tops in nodes:
        for key in tops:
            root = groups.find(key)
            most[root] = max(most.get(root, 0.0), largest.get(layer.name, 0.0))
    factor = {root: 1.0 if root in roots else _power(value) for root, value in most.items()}
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


def _passes(layer):
    if layer.type == "Eltwise":
        p = layer.param.eltwise_param
        return p.operation in (p.SUM, p.MAX)
    return layer.type in _SAME


def _power(value):
    return 1.0 if not np.isfinite(value) or value < 65504 else 2.0 ** -math.ceil(math.log2(value / HEADROOM))


def apply(net, scales):
    """Scale the weights of `net` in place as `plan` has it."""
    kinds = {node.layer.name: node.layer.type for node in net._nodes}
    for name, (below, above) in scales.items():
        blobs = net.params[name]
        if kinds[name] == "BatchNorm":
            blobs[0].data[...] *= below
            continue
        blobs[0].data[...] *= above / below
        for blob in blobs[1:]:
            blob.data[...] *= above


def advice(scales, net):
    """Lines for the user, one a layer: what to multiply its weights and its bias by."""
    kinds = {node.layer.name: node.layer.type for node in net._nodes}
    rows = []
    for name, (below, above) in scales.items():
        if kinds[name] == "BatchNorm":
            rows.append(f"{name}: mean x {_text(below)}")
        elif len(net.params[name]) > 1:
            rows.append(f"{name}: weights x {_text(above / below)}, bias x {_text(above)}")
        else:
            rows.append(f"{name}: weights x {_text(above / below)}")
    return rows


def _text(factor):
    return "2^%d" % round(math.log2(factor)) if factor != 1 else "1"
