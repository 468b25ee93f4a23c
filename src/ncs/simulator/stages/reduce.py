"""ReduceMean, ReduceSum, ReduceMax, ReduceMin, ReduceAnd over some axes."""

from __future__ import annotations

from typing import Any, Callable  # noqa: UP035 - Python 3.7 on the device

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage

FORMULAS: dict[str, Callable[..., Any]] = {
    "ReduceMean": np.mean,
    "ReduceSum": np.sum,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceAnd": np.all,
}


@stage(*FORMULAS)
def reduce(call: Call) -> None:
    """Reduce over axes counted from the innermost. Tensors: input, output, axes."""
    call.param("i")  # whether reduced axes are kept; the shape of the output shows it
    values = call.read(0)
    axes = tuple(values.ndim - 1 - int(axis) for axis in call.read(2).reshape(-1))
    if any(not 0 <= axis < values.ndim for axis in axes):
        raise call.error(f"axes: expected 0 to {values.ndim - 1}, received {call.read(2).reshape(-1).tolist()}")
    result = FORMULAS[call.record.kind](values, axis=axes)
    call.write(1, np.asarray(result, values.dtype).reshape(call.tensor(1).dims))
