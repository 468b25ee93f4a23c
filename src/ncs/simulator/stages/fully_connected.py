"""FC: fully connected on SHAVE cores."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("FC")
def fully_connected(call: Call) -> None:
    """Multiply by the weights (position, input channel, output). Tensors: input (NHWC), output, weights."""
    source, target = call.tensor(0), call.tensor(1)
    axes = dict(zip(target.order, target.dims))
    batch = axes.get("N", 1) if "N" in source.order else 1
    values = call.read(0).reshape(batch, -1)
    weights = call.constant(2, lambda packed: np.ascontiguousarray(packed.reshape(values.shape[1], -1).T))
    result = call.matmul(weights, values.T).T
    call.write(1, result.reshape(target.dims))
