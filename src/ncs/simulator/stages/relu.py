"""Relu and LeakyRelu, optionally after adding a bias per channel."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("Relu", "LeakyRelu", "BiasRelu", "BiasLeakyRelu")
def relu(call: Call) -> None:
    """Apply (leaky) ReLU. Tensors: input, output, biases (optional)."""
    with_bias, slope = call.params("If")
    values = call.read(0)
    if with_bias:
        values = values + call.per_channel(2)
    call.write(1, np.where(values < 0, values * np.float32(slope), values))
