"""Normalize (L2), GRN and MVN (mean 0, variance 1)."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("Normalize")
def normalize(call: Call) -> None:
    """x / sqrt(sum of squares + eps) · scale, over channels or the whole image. Tensors: input, output, scales."""
    across_spatial, shared, eps = call.params("iif")
    image, scales = call.image(0), call.read(2).reshape(-1)
    axes = (1, 2, 3) if across_spatial else (1,)
    length = np.sqrt((image**2).sum(axes, keepdims=True) + np.float32(eps))
    scale = scales[0] if shared else scales.reshape(1, -1, 1, 1)
    call.write_image(1, image / length * scale)


@stage("GRN")
def grn(call: Call) -> None:
    """x / sqrt(sum of squares over channels + bias). Tensors: input, output."""
    bias = np.float32(call.param("f"))
    image = call.image(0)
    call.write_image(1, image / np.sqrt((image**2).sum(1, keepdims=True) + bias))


@stage("MVN")
def mvn(call: Call) -> None:
    """Subtract the mean and optionally divide by (standard deviation + eps), per channel or over all channels."""
    by_variance, across_channels, eps = call.params("iif")
    image = call.image(0)
    axes = (1, 2, 3) if across_channels else (2, 3)
    image = image - image.mean(axes, keepdims=True)
    if by_variance:
        image = image / (np.sqrt((image**2).mean(axes, keepdims=True)) + np.float32(eps))
    call.write_image(1, image)
