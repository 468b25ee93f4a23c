"""Bias, Scale and ScaleShift: add and multiply by one value per channel."""

from __future__ import annotations

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("Bias")
def bias(call: Call) -> None:
    """Add a bias per channel. Tensors: input, output, biases."""
    call.write(1, call.read(0) + call.per_channel(2))


@stage("Scale")
def scale(call: Call) -> None:
    """Multiply by a scale per channel. Tensors: input, output, scales."""
    call.write(1, call.read(0) * call.per_channel(2))


@stage("ScaleShift")
def scale_shift(call: Call) -> None:
    """Multiply by a scale and add a bias per channel. Tensors: input, output, scales, biases."""
    call.write(1, call.read(0) * call.per_channel(2) + call.per_channel(3))
