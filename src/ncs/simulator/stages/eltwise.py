"""Element-wise stages with two inputs (Sum, Prod, Max …), followed by ReLU or Clamp if the compiler fused one."""

from __future__ import annotations

from typing import Callable  # noqa: UP035 - Python 3.7 on the device

import numpy as np

from ncs.myriad.stage_kinds import KINDS
from ncs.simulator.call import Call
from ncs.simulator.stages import stage

FORMULAS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Sum": np.add,
    "Prod": np.multiply,
    "Max": np.maximum,
    "Min": np.minimum,
    "Div": np.divide,
    "Squared_diff": lambda a, b: (a - b) ** 2,
    "Pow": np.power,
    "Floor_mod": np.mod,
    "Equal": np.equal,
    "Not_equal": np.not_equal,
    "Greater": np.greater,
    "Greater_equal": np.greater_equal,
    "Less": np.less,
    "Less_equal": np.less_equal,
    "Logical_AND": np.logical_and,
    "Logical_OR": np.logical_or,
    "Logical_XOR": np.logical_xor,
}


@stage(*FORMULAS)
def eltwise(call: Call) -> None:
    """Combine two inputs; the coefficients only apply to Sum. Tensors: input, output, second input."""
    form = "i" if call.tensor(0).dtype == "S32" else "f"
    first, second = call.params(form * 2)
    post = KINDS.get(call.param("i"))
    slope, minimum, maximum = call.params(form * 3)
    a, b = _read_in_output_order(call, 0), _read_in_output_order(call, 2)
    if call.record.kind == "Sum":
        a, b = (x if c == 1 else x * np.float32(c) for x, c in ((a, first), (b, second)))
    result = FORMULAS[call.record.kind](a, b)
    result = _fused_activation(call, post, result.astype(a.dtype), slope, minimum, maximum)
    call.write(1, np.broadcast_to(result, call.tensor(1).dims))


def _read_in_output_order(call: Call, number: int) -> np.ndarray:
    """Return a tensor in the output's order of axes; one with fewer axes broadcasts from the innermost axis."""
    order, target, values = call.tensor(number).order, call.tensor(1).order, call.read(number)
    if order != target and sorted(order) == sorted(target):
        return values.transpose([order.index(letter) for letter in target])
    return values


def _fused_activation(
    call: Call, post: str | None, values: np.ndarray, slope: float, minimum: float, maximum: float
) -> np.ndarray:
    if post in ("Empty", None):
        return values
    if post in ("Relu", "LeakyRelu"):
        return np.where(values < 0, values * np.float32(slope), values)
    if post == "Clamp":
        return np.clip(values, minimum, maximum)
    raise call.error(f"{post} after an element-wise stage is not supported")


@stage("Logical_NOT")
def logical_not(call: Call) -> None:
    """Logical NOT. Tensors: input, output."""
    values = call.read(0)
    call.write(1, (values == 0).astype(values.dtype))
