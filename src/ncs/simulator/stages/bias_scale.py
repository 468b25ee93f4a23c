"""Bias, Scale and ScaleShift: a sum and a product with one number a channel."""

from __future__ import annotations

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("Bias")
def bias(call: Call) -> None:
    """Input, output, biases."""
    call.write(1, call.read(0) + call.per_channel(2))


@stage("Scale")
def scale(call: Call) -> None:
    """Input, output, scales."""
    call.write(1, call.read(0) * call.per_channel(2))


@stage("ScaleShift")
def scale_shift(call: Call) -> None:
    """Input, output, scales, biases."""
    call.write(1, call.read(0) * call.per_channel(2) + call.per_channel(3))
