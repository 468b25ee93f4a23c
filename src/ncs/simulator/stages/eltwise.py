"""Element-wise stages of two inputs (Sum, Prod, Max …), with ReLU or a clamp behind where the compiler merged one."""

from __future__ import annotations

import numpy as np

from ncs.myriad.stage_kinds import KINDS
from ncs.simulator.call import Call
from ncs.simulator.stages import stage

FORMULAS = {
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
    """Input, output, second input; both coefficients apply to Sum only."""
    form = "i" if call.tensor(0).dtype == "S32" else "f"
    first, second = call.params(form * 2)
    post = KINDS.get(call.param("i"))
    slope, least, most = call.params(form * 3)
    a, b = _axes(call, 0), _axes(call, 2)
    if call.record.kind == "Sum":
        a, b = (x if c == 1 else x * np.float32(c) for x, c in ((a, first), (b, second)))
    result = FORMULAS[call.record.kind](a, b)
    result = _after(call, post, result.astype(a.dtype), slope, least, most)
    call.write(1, np.broadcast_to(result, call.tensor(1).dims))


def _axes(call: Call, number: int) -> np.ndarray:
    """A tensor in the output's order of axes; one with fewer axes fits the innermost ones, as it lies in memory."""
    order, target, values = call.tensor(number).order, call.tensor(1).order, call.read(number)
    if order != target and sorted(order) == sorted(target):
        return values.transpose([order.index(letter) for letter in target])
    return values


def _after(call: Call, post: str | None, values: np.ndarray, slope: float, least: float, most: float) -> np.ndarray:
    if post in ("Empty", None):
        return values
    if post in ("Relu", "LeakyRelu"):
        return np.where(values < 0, values * np.float32(slope), values)
    if post == "Clamp":
        return np.clip(values, least, most)
    raise call.error(f"{post} behind an element-wise stage is not known")


@stage("Logical_NOT")
def logical_not(call: Call) -> None:
    """Input, output."""
    values = call.read(0)
    call.write(1, (values == 0).astype(values.dtype))
