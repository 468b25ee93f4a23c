"""Permute: exchange axes, or store the same axes in another order."""

from __future__ import annotations

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("Permute")
def permute(call: Call) -> None:
    """Input, output; entry i says which input axis becomes output axis i, both counted from the innermost."""
    count = len(call.tensor(0).dims)
    indices = call.params("i" * count)
    if sorted(indices) != list(range(count)):
        raise call.error(f"{indices} is no permutation of {count} axes")
    axes = [count - 1 - indices[count - 1 - axis] for axis in range(count)]
    call.move(0, 1, lambda values: values.transpose(axes))
