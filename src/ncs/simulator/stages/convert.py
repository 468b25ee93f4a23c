"""Convert: value · scale + bias in another data type."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("Convert")
def convert(call: Call) -> None:
    """Convert type and order of axes. Tensors: input, output."""
    scale, bias = call.params("ff")
    values = call.read(0).astype(np.float32)
    source, target = call.tensor(0), call.tensor(1)
    if source.order != target.order and sorted(source.order) == sorted(target.order):
        values = values.transpose([source.order.index(letter) for letter in target.order])
    if (scale, bias) != (1, 0):
        values = values * np.float32(scale) + np.float32(bias)
    call.write(1, values.reshape(target.dims))
