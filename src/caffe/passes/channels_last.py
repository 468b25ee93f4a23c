"""Pass: the layers that work on planes keep the channels of a pixel side by side in memory."""

import torch


def channels_last(nodes):
    """Have Convolution, Pooling and LRN on 4-axis bottoms take them in N x H x W x C memory.

    oneDNN convolves, and PyTorch pools, that layout without reordering, and the elementwise layers between
    keep it; so only the first layer of a stretch pays for a conversion. Shapes stay N x C x H x W.
    """
    for node in nodes:
        if _on_planes(node.layer) and node.layer.device.type == "cpu" and node.bottoms:
            node.layer.memory_format = torch.channels_last


def _on_planes(layer):
    if layer.type == "Convolution":
        return layer.channel == 1 and len(layer.window.kernel) == 2
    return layer.type in ("Pooling", "LRN")
