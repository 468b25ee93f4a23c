"""SoftMax along one axis."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("SoftMax")
def softmax(call: Call) -> None:
    """Softmax along an axis counted from the innermost. Tensors: input, output."""
    values = call.read(0)
    axis = values.ndim - 1 - call.param("i")
    if not 0 <= axis < values.ndim:
        raise call.error(f"axis: expected 0 to {values.ndim - 1}, received {axis}")
    powers = np.exp(values - values.max(axis, keepdims=True))
    call.write(1, powers / powers.sum(axis, keepdims=True))
