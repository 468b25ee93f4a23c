"""Upsampling: zeros between the values and around them; what the compiler makes of a deconvolution's input."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("Upsampling")
def upsampling(call: Call) -> None:
    """Input, output; factors along x, y and channels, then padding in front and behind of each."""
    factors, pads = call.params("iii"), call.params("iiiiii")
    image = call.image(0)
    axes = (3, 2, 1)
    shape = list(image.shape)
    places = [slice(None)] * 4
    for axis, factor, before, after in zip(axes, factors, pads[::2], pads[1::2]):
        length = (image.shape[axis] - 1) * factor + 1
        shape[axis] = before + length + after
        places[axis] = slice(before, before + length, factor)
    result = np.zeros(shape, np.float32)
    result[tuple(places)] = image
    call.write_image(1, result)
