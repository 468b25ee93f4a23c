"""How much a layer computes and moves: floating-point operations (two a multiply-add) and numbers read and written."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Work:
    """One layer's work for a whole batch: `operations`, and the counts of numbers in its bottoms, tops and weights."""

    name: str
    type: str
    operations: int
    bottoms: int
    tops: int
    weights: int

    @property
    def numbers(self):
        """Numbers read and written, each once."""
        return self.bottoms + self.tops + self.weights


def work(net):
    """[Work] of every layer of `net`, Inputs and Splits left out."""
    rows = []
    for node in net._nodes:
        if node.layer.type in ("Input", "Split"):
            continue
        bottoms, tops = ([blob.shape for blob in blobs] for blobs in (node.bottom_blobs, node.top_blobs))
        weights = [blob.shape for blob in node.layer.blobs]
        counts = [sum(map(math.prod, shapes)) for shapes in (bottoms, tops, weights)]
        rows.append(Work(node.layer.name, node.layer.type, operations(node.layer, bottoms, tops, weights), *counts))
    return rows


def operations(layer, bottoms, tops, weights):
    """As mvNCProfile counts them: conv1/7x7_s2 of GoogLeNet has 236.028 MFLOPs, a pooling one operation a number read."""
    out = sum(map(math.prod, tops))
    if layer.type in ("Convolution", "InnerProduct") and weights:
        return 2 * out * math.prod(weights[0]) // weights[0][_outputs_axis(layer)]
    if layer.type == "Deconvolution" and weights:
        return 2 * math.prod(bottoms[0]) * math.prod(weights[0][1:])
    if layer.type == "Pooling":
        return out * _window(layer.param.pooling_param, bottoms[0])
    if layer.type == "LRN":
        return out * (2 * layer.param.lrn_param.local_size + 3)
    return out


def _outputs_axis(layer):
    return 1 if layer.type == "InnerProduct" and layer.param.inner_product_param.transpose else 0


def _window(param, shape):
    if param.global_pooling:
        return shape[2] * shape[3]
    return (param.kernel_h or param.kernel_size) * (param.kernel_w or param.kernel_size)
