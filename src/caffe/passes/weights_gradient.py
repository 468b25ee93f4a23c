"""Pass: the gradient of a convolution's weights is not left to oneDNN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def weights_gradient(nodes: Sequence[Any]) -> None:
    """Let Convolutions compute their weights' gradient by the native kernel, or as a matrix product.

    oneDNN's kernel of the weights' gradient runs at half of the speed of its forward pass. The native one runs at full
    speed. So does the product of the top's diff and the windows of the bottom (im2col), but it needs a copy of the
    windows. caffe.layers._fast_convolution decides by the shapes.
    """
    for node in nodes:
        if node.layer.type == "Convolution" and node.layer.device.type == "cpu":
            node.layer.fast_gradient = True
