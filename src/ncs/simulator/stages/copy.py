"""Copy: a DMA transfer between two memories, each with its own strides."""

from __future__ import annotations

from ncs.simulator.call import Call
from ncs.simulator.stages import stage


@stage("Copy")
def copy(call: Call) -> None:
    """Copy the elements unchanged. Tensors: input, output."""
    source, target = call.tensor(0), call.tensor(1)
    if source.dtype != target.dtype:
        raise call.error(f"output type: expected {source.dtype} as the input, received {target.dtype}")
    axes = list(range(len(source.order)))
    if source.order != target.order and sorted(source.order) == sorted(target.order):
        axes = [source.order.index(letter) for letter in target.order]
    call.copy(0, 1, lambda values: values.transpose(axes).reshape(target.dims))
