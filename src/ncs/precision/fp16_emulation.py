"""What half precision does to a net: weights and activations rounded to FP16 layer by layer, sums kept in float32.

This is an emulation of a device that computes in FP16, not the device: the order of its sums, and shortcuts of its hardware
units, are not known here. Rounding, overflow to infinity above 65504 and denormals down to 2^-24 are those of IEEE half.
A convolution with BatchNorm and Scale behind it is one layer, as the device's compiler makes it (ncs.precision.conv_bn_fusion).
"""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import torch

from ncs.precision import conv_bn_fusion

LARGEST = 65504.0
SMALLEST_NORMAL = 2.0**-14


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer's record. `largest` is the greatest finite |value| in float32, `smallest` the least that is not 0.

    `overflow` counts values that half precision cannot hold though float32 can, `lost` those that became 0, `denormal`
    those below 2^-14 in half. `weights_overflow` and `weights_lost` count the layer's own weights alike. `error` is the
    greatest difference by the greatest expected value, `l2` the root mean square difference by the same; inf or nan when
    the values are no longer numbers. `own` is `error` where the layer is given the exact values: its part in it. `formed` is
    False for a layer that the device makes one with the next, so that its values never are in half precision.
    """

    name: str
    type: str
    largest: float
    smallest: float
    overflow: int
    lost: int
    denormal: int
    weights_overflow: int
    weights_lost: int
    error: float
    l2: float
    own: float
    formed: bool = True


def rounded(tensor):
    """`tensor` as half precision holds it, in float32."""
    return tensor.detach().half().float()


def round_weights(net):
    """Round every weight of `net` in place; returns layer name -> (overflowed, lost)."""
    faults, together = {}, set()
    for merge in conv_bn_fusion.merges(net):
        names = [net._nodes[number].layer.name for number in (merge.first, *merge.behind)]
        faults[names[0]] = conv_bn_fusion.round_together(net, merge)
        together.update(names)
    for name, blobs in net.params.items():
        if name in together:
            continue
        overflow = lost = 0
        for blob in blobs:
            half = blob.data.astype(np.float16, copy=True) if _fits(blob.data) else _overflowed(blob.data)
            overflow += int(np.isinf(half).sum())
            lost += int(((half == 0) & (blob.data != 0)).sum())
            blob.data[...] = half
        faults[name] = (overflow, lost)
    return faults


def _fits(array):
    return np.abs(array).max(initial=0) < LARGEST


def _overflowed(array):
    with np.errstate(over="ignore"):
        return array.astype(np.float16)


def exact(net, batch):
    """Run `net` (one input) in float32, a layer at a time; returns the tops of every layer, in order, as tensors."""
    return list(_run(net, batch, lambda tensor: tensor.detach().clone()))


def emulate(net, batch):
    """The same with every top rounded to half before the next layer reads it; `net`'s weights must be rounded already."""
    return list(_run(net, rounded(torch.as_tensor(batch)), rounded, conv_bn_fusion.inner(conv_bn_fusion.merges(net))))


def _run(net, batch, keep, unformed=()):
    """Yield the tops of every node after `keep`; those of the nodes `unformed` are handed on as they are."""
    source = net.blobs[net.inputs[0]]
    source.reshape(*batch.shape)
    source.data[...] = np.asarray(batch)
    for number, node in enumerate(net._nodes):
        if node.layer.type != "Input":
            net.forward_range(number, number, record=False)
        step = torch.Tensor.detach if number in unformed else keep
        tops = [step(blob.tensor) for blob in node.top_blobs]
        for blob, top in zip(node.top_blobs, tops):
            blob.set(top)
        yield [top.clone() for top in tops] if number in unformed else tops


def answer(net, batch, half=False):
    """float32 (N, K): what the net says in float32, or in the emulation."""
    batch = rounded(torch.as_tensor(batch)) if half else batch
    unformed = conv_bn_fusion.inner(conv_bn_fusion.merges(net)) if half else ()
    collections.deque(_run(net, batch, rounded if half else torch.Tensor.detach, unformed), maxlen=0)
    return np.array(net.blobs[net.outputs[0]].data).reshape(len(batch), -1)


def study(net, batch):
    """Both ways over one batch: (expected (N, K), emulated (N, K), [Layer]). The weights of `net` are rounded afterwards.

    A layer's own part is what it makes in half of the exact values that it is given.
    """
    expected = exact(net, batch)
    weights = round_weights(net)
    emulated = emulate(net, batch)
    unformed = conv_bn_fusion.inner(conv_bn_fusion.merges(net))
    own = _own(net, batch, expected, unformed)
    layers = []
    for number, (node, right, wrong, alone) in enumerate(zip(net._nodes, expected, emulated, own)):
        if node.layer.type != "Split" and right:
            fault = weights.get(node.layer.name, (0, 0))
            layers.append(_record(node, right, wrong, alone, fault, number not in unformed))
    last = {name: number for number, node in enumerate(net._nodes) for name in node.tops}
    number = last[net.outputs[0]]
    top = net._nodes[number].tops.index(net.outputs[0])
    pair = [tops[number][top].numpy().reshape(len(batch), -1) for tops in (expected, emulated)]
    return pair[0], pair[1], layers


def _own(net, batch, expected, unformed):
    """Every layer's tops in half, from bottoms that are the exact ones rounded."""
    made = []
    source = net.blobs[net.inputs[0]]
    source.data[...] = np.asarray(rounded(torch.as_tensor(batch)))
    for number, node in enumerate(net._nodes):
        if node.layer.type != "Input":
            net.forward_range(number, number, record=False)
        step = torch.Tensor.clone if number in unformed else rounded
        made.append([step(blob.tensor.detach()) for blob in node.top_blobs])
        for blob, top in zip(node.top_blobs, made[-1] if number in unformed else map(rounded, expected[number])):
            blob.set(top)
    return made


def _record(node, right, wrong, alone, weights, formed):
    """One Layer; of values that are never formed in half (`formed` False) nothing overflows and nothing is lost."""
    right, wrong, alone = (np.concatenate([np.asarray(t).ravel() for t in tops]) for tops in (right, wrong, alone))
    finite = np.abs(right[np.isfinite(right)])
    there = finite[finite > 0]
    with np.errstate(over="ignore"):
        half = right.astype(np.float16) if formed else right
    magnitude = np.abs(half[np.isfinite(half)]).astype(np.float32) if formed else np.ones(1, np.float32)
    error, l2 = distance(right, wrong)
    return Layer(
        node.layer.name,
        node.layer.type,
        float(finite.max(initial=0)),
        float(there.min()) if there.size else 0.0,
        int((np.isfinite(right) & ~np.isfinite(half)).sum()),
        int(((half == 0) & (right != 0)).sum()),
        int(((magnitude > 0) & (magnitude < SMALLEST_NORMAL)).sum()),
        *weights,
        error,
        l2,
        distance(right, alone)[0],
        formed,
    )


def distance(expected, result):
    """(greatest difference, root mean square difference), both by the greatest |expected|; inf for what is no number."""
    if not np.isfinite(result).all() or not np.isfinite(expected).all():
        return float("inf"), float("inf")
    difference = np.abs(expected.astype(np.float64) - result)
    largest = float(np.abs(expected).max(initial=0))
    if not largest:
        return (0.0, 0.0) if not difference.any() else (float("inf"), float("inf"))
    return float(difference.max()) / largest, float(np.sqrt(np.mean(difference**2))) / largest
