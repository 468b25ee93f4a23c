"""Permute: transpose axes, or store the same axes in another order."""

from __future__ import annotations

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("Permute")
def permute(call: Call) -> None:
    """Transpose: entry i is the input axis of output axis i, both from the innermost. Tensors: input, output."""
    count = len(call.tensor(0).dims)
    indices = call.params("i" * count)
    if sorted(indices) != list(range(count)):
        raise call.error(f"expected a permutation of {count} axes, received {indices}")
    axes = [count - 1 - indices[count - 1 - axis] for axis in range(count)]
    call.copy(0, 1, lambda values: values.transpose(axes))
