"""Work of a layer: floating-point operations (two per multiply-add) and numbers read and written."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caffe.convert.leading_layers import LeadingLayers
    from caffe.layers.base import Layer
    from caffe.net.net import Net


@dataclasses.dataclass(frozen=True)
class Work:
    """Work of one layer per batch: `operations`, and the number of values in its bottoms, tops and weights."""

    name: str
    type: str
    operations: int
    bottoms: int
    tops: int
    weights: int

    @property
    def numbers(self) -> int:
        """Number of values read and written, each counted once."""
        return self.bottoms + self.tops + self.weights


def work(net: Net | LeadingLayers) -> list[Work]:
    """Return the work of every layer of `net` except Input and Split."""
    rows = []
    for node in net.nodes:
        if node.layer.type in ("Input", "Split"):
            continue
        bottoms, tops = ([blob.shape for blob in blobs] for blobs in (node.bottom_blobs, node.top_blobs))
        weights = [blob.shape for blob in node.layer.blobs]
        counts = [sum(map(math.prod, shapes)) for shapes in (bottoms, tops, weights)]
        rows.append(Work(node.layer.name, node.layer.type, operations(node.layer, bottoms, tops, weights), *counts))
    return rows


def operations(layer: Layer, bottoms: Sequence, tops: Sequence, weights: Sequence) -> int:
    """Count operations from the shapes of a layer's blobs, in the way of mvNCProfile.

    For example, conv1/7x7_s2 of GoogLeNet has 236.028 MFLOPs, and a pooling layer one operation per value read.
    """
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
