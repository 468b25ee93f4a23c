"""Pass: a convolution applies the in-place ReLU that follows it while it writes its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe.passes.blob_users import nodes_using
from caffe.passes.fft_convolution import FourierConvolution
from caffe.passes.inplace_relu import InPlaceReLU


def relu_in_convolution(nodes: Sequence[Any]) -> None:
    """Make Convolutions before an InPlaceReLU (the pass relu_in_place) rectify their result; equal but for rounding.

    oneDNN does so at no cost, where the ReLU alone reads and writes the blob once more.
    """
    for i, node in enumerate(nodes):
        if not isinstance(node.fast, InPlaceReLU):
            continue
        before = [j for j in nodes_using(nodes, node.top_blobs[0]) if j < i]
        producer = nodes[before[-1]]
        if producer.layer.type != "Convolution" or len(producer.bottoms) > 1 or any(producer.losses):
            continue
        rectifying = RectifyingConvolution(producer.layer)
        if producer.fast is None:
            producer.fast = rectifying
        elif isinstance(producer.fast, FourierConvolution):
            producer.fast.rectifying = rectifying
        else:
            continue
        producer.reach, node.fast.producer = (before[-1], i), rectifying


class RectifyingConvolution:
    """Runner for Convolution; with `applied`, the ReLU's runner has nothing left to do."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.applied = False

    def fall_back(self) -> None:
        self.applied = False

    def release(self) -> None:
        """Free what the last forward saved for backward."""
        self.layer.release()

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        self.layer.rectify, self.layer.rectified = not tops[0].has_live_view, False
        try:
            self.layer.forward_blobs(bottoms, tops, record)
            self.applied = self.layer.rectified
        finally:
            self.layer.rectify = False

    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        self.layer.backward_blobs(tops, propagate_down, bottoms)
