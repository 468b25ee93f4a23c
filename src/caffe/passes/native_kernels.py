"""Pass: LRN, MAX pooling and depthwise convolutions run on the native kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_TYPES = ("LRN", "Pooling", "Convolution", "ConvolutionDepthwise", "DepthwiseConvolution")


def native_kernels(nodes: Sequence[Any]) -> None:
    """Allow these layers the kernels of caffe.kernels, where they are compiled and support the bottom."""
    for node in nodes:
        if node.layer.type in _TYPES:
            node.layer.native = True
