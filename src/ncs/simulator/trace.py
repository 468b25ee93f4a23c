"""What one stage reads and writes while a blob runs, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ncs.errors import NcsError
from ncs.simulator.engine import Simulator
from ncs.simulator.memory import Memory
from ncs.simulator.program import StageRecord, TensorRef


class Traced(NamedTuple):
    """A tensor of a stage, before the stage ran and after it."""

    tensor: TensorRef
    before: np.ndarray
    after: np.ndarray

    @property
    def changed(self) -> bool:
        """Whether the stage wrote other values into it."""
        return self.before.tobytes() != self.after.tobytes()


def trace(simulator: Simulator, inputs: dict[str, np.ndarray], number: int) -> list[Traced]:
    """Run `inputs` and return every tensor of stage `number`, those of a stage injected into it as well."""
    stages = simulator.program.stages
    if not 0 <= number < len(stages):
        raise NcsError(f"no stage {number}: the blob has stages 0 to {len(stages) - 1}")
    wanted = all_tensors(stages[number])
    before: list[np.ndarray] = []
    after: list[np.ndarray] = []

    def watch(record: StageRecord | None, memory: Memory) -> None:
        (after if record is not None and record.number == number else before)[:] = [
            memory.view(tensor).copy() for tensor in wanted
        ]

    simulator.run(inputs, watch, stop=number)
    return [Traced(*row) for row in zip(wanted, before, after)]


def all_tensors(stage: StageRecord) -> list[TensorRef]:
    """The tensors of a stage that lie somewhere, and of the one injected into it."""
    own = [tensor for tensor in stage.tensors if tensor.location != "none"]
    return own + (all_tensors(stage.injected) if stage.injected else [])


def summary(values: np.ndarray) -> str:
    """least, greatest and mean value, and how many are no numbers."""
    wide = values.astype(np.float64).ravel()
    finite = wide[np.isfinite(wide)]
    if not finite.size:
        return "no finite value"
    text = f"min {finite.min():.6g}, max {finite.max():.6g}, mean {finite.mean():.6g}"
    return text + (f", {wide.size - finite.size} not finite" if finite.size < wide.size else "")
