"""Pass: spatial layers use channels-last memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def channels_last(nodes: Sequence[Any]) -> None:
    """Make Convolution, Pooling and LRN use N x H x W x C memory for 4-axis bottoms.

    oneDNN and PyTorch process this layout without reordering, and elementwise layers preserve it, so only the first
    layer of a sequence pays for a conversion. Shapes stay N x C x H x W.
    """
    for node in nodes:
        if _is_spatial(node.layer) and node.layer.device.type == "cpu" and node.bottoms:
            node.layer.memory_format = torch.channels_last


def _is_spatial(layer):
    if layer.type == "Convolution":
        return layer.channel == 1 and len(layer.window.kernel) == 2
    return layer.type in ("Pooling", "LRN")
