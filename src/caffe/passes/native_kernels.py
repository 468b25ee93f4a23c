"""Pass: LRN and depthwise convolutions run on the native kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def native_kernels(nodes: Sequence[Any]) -> None:
    """Allow LRN and Convolution the kernels of caffe.kernels, where they are compiled and support the bottom."""
    for node in nodes:
        if node.layer.type in ("LRN", "Convolution"):
            node.layer.native = True
