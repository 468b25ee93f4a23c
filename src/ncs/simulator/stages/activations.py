"""Element-wise functions: Clamp, Elu, Power, PRelu, Sigmoid, Tanh, Exp, Log, Floor, Swish …

Results are rounded to FP16 once, when they are stored. How a SHAVE core approximates exp, log and tanh is unknown.
"""

from __future__ import annotations

import math
from typing import Callable  # noqa: UP035 - Python 3.7 on the device

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[np.float32])(x)


FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Sigmoid": _sigmoid,
    "Tanh": np.tanh,
    "Exp": np.exp,
    "Log": np.log,
    "Floor": np.floor,
    "Ceiling": np.ceil,
    "Erf": _erf,
    "Gelu": lambda x: x * 0.5 * (1 + _erf(x / np.float32(math.sqrt(2)))),
    "Mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "SoftPlus": lambda x: np.logaddexp(0, x),
    "HSwish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}


@stage(*FORMULAS)
def unary(call: Call) -> None:
    """Apply the formula of the stage kind. Tensors: input, output."""
    call.write(1, _to_output_order(call, FORMULAS[call.record.kind](call.read(0))))


@stage("Clamp")
def clamp(call: Call) -> None:
    """Clip to a minimum and a maximum. Tensors: input, output."""
    minimum, maximum = call.params("ff")
    call.write(1, _to_output_order(call, np.clip(call.read(0), minimum, maximum)))


@stage("Elu")
def elu(call: Call) -> None:
    """x, or alpha · (exp(x) - 1) below zero. Tensors: input, output."""
    alpha, values = np.float32(call.param("f")), call.read(0)
    call.write(1, _to_output_order(call, np.where(values < 0, alpha * np.expm1(np.minimum(values, 0)), values)))


@stage("Power")
def power(call: Call) -> None:
    """(bias + scale · x) ^ power. Tensors: input, output."""
    bias, scale, exponent = call.params("fff")
    values = np.float32(bias) + np.float32(scale) * call.read(0)
    call.write(1, _to_output_order(call, values if exponent == 1 else values ** np.float32(exponent)))


@stage("PRelu")
def prelu(call: Call) -> None:
    """x, or slope · x below zero, with one slope per channel. Tensors: input, output, slopes."""
    values = call.read(0)
    call.write(1, _to_output_order(call, np.where(values < 0, values * call.per_channel(2), values)))


@stage("SCRelu")
def scaled_relu(call: Call) -> None:
    """Leaky ReLU, then a scale and a bias along one axis. Tensors: input, output, scales, biases."""
    slope, axis = call.params("fi")
    values = call.read(0)
    shape = [1] * values.ndim
    shape[values.ndim - 1 - axis] = -1
    values = np.where(values < 0, values * np.float32(slope), values)
    if call.has(2):
        values = values * call.read(2).reshape(shape)
    if call.has(3):
        values = values + call.read(3).reshape(shape)
    call.write(1, _to_output_order(call, values))


@stage("Swish")
def swish(call: Call) -> None:
    """x · sigmoid(beta · x). Tensors: input, output."""
    beta, values = np.float32(call.param("f")), call.read(0)
    call.write(1, _to_output_order(call, values * _sigmoid(beta * values)))


def _to_output_order(call: Call, values: np.ndarray) -> np.ndarray:
    """Transpose `values` to the output's order of axes."""
    source, target = call.tensor(0).order, call.tensor(1).order
    if source != target and sorted(source) == sorted(target):
        values = values.transpose([source.index(letter) for letter in target])
    return values
