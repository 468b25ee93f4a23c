"""Pass: the gradient of a convolution's weights is a matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def gemm_weights_gradient(nodes: Sequence[Any]) -> None:
    """Let Convolutions compute their weights' gradient as a matrix product where that is faster than oneDNN's kernel.

    oneDNN's kernel of the weights' gradient runs at half of the speed of its forward pass; the product of the top's
    diff and the windows of the bottom (im2col) needs a copy of the windows, but runs at full speed.
    caffe.layers._fast_convolution decides by the shapes.
    """
    for node in nodes:
        if node.layer.type == "Convolution" and node.layer.device.type == "cpu":
            node.layer.gemm_gradient = True
