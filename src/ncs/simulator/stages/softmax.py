"""SoftMax along one axis."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("SoftMax")
def softmax(call: Call) -> None:
    """Input, output; the axis counts from the innermost one."""
    values = call.read(0)
    axis = values.ndim - 1 - call.param("i")
    if not 0 <= axis < values.ndim:
        raise call.error(f"softmax along an axis that a tensor of {values.ndim} axes lacks")
    powers = np.exp(values - values.max(axis, keepdims=True))
    call.write(1, powers / powers.sum(axis, keepdims=True))
