"""Upsampling: insert zeros between and around the values, which the compiler adds before a deconvolution."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("Upsampling")
def upsampling(call: Call) -> None:
    """Insert zeros by factors and padding (before, after) along x, y and channels. Tensors: input, output."""
    factors, pads = call.params("iii"), call.params("iiiiii")
    image = call.image(0)
    axes = (3, 2, 1)
    shape = list(image.shape)
    slices = [slice(None)] * 4
    for axis, factor, before, after in zip(axes, factors, pads[::2], pads[1::2]):
        length = (image.shape[axis] - 1) * factor + 1
        shape[axis] = before + length + after
        slices[axis] = slice(before, before + length, factor)
    result = np.zeros(shape, np.float32)
    result[tuple(slices)] = image
    call.write_image(1, result)
