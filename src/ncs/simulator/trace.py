"""Record what one stage reads and writes while a blob runs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ncs.errors import NcsError
from ncs.simulator.engine import Simulator
from ncs.simulator.memory import Memory
from ncs.simulator.program import StageRecord, TensorRef


class TracedTensor(NamedTuple):
    """The elements of a stage's tensor before and after the stage ran."""

    tensor: TensorRef
    before: np.ndarray
    after: np.ndarray

    @property
    def changed(self) -> bool:
        """Whether the stage changed the elements."""
        return self.before.tobytes() != self.after.tobytes()


def trace(simulator: Simulator, inputs: dict[str, np.ndarray], number: int) -> list[TracedTensor]:
    """Run up to stage `number` and return its tensors, including those of an injected stage.

    Parameters
    ----------
    simulator : Simulator
        The blob.
    inputs : dict
        Input name to array, as for `Simulator.run`.
    number : int
        Number of the stage, from 0.

    Raises
    ------
    NcsError
        If the blob has no such stage.
    """
    stages = simulator.program.stages
    if not 0 <= number < len(stages):
        raise NcsError(f"stage: expected 0 to {len(stages) - 1}, received {number}")
    tensors = all_tensors(stages[number])
    before: list[np.ndarray] = []
    after: list[np.ndarray] = []

    def record_tensors(record: StageRecord | None, memory: Memory) -> None:
        (after if record is not None and record.number == number else before)[:] = [
            memory.view(tensor).copy() for tensor in tensors
        ]

    simulator.run(inputs, record_tensors, last_stage=number)
    return [TracedTensor(*row) for row in zip(tensors, before, after)]


def all_tensors(stage: StageRecord) -> list[TensorRef]:
    """Return the tensors of a stage that have a location, including those of an injected stage."""
    own = [tensor for tensor in stage.tensors if tensor.location != "none"]
    return own + (all_tensors(stage.injected) if stage.injected else [])


def summary(values: np.ndarray) -> str:
    """Return the minimum, maximum and mean as text, and the number of values that are not finite."""
    wide = values.astype(np.float64).ravel()
    finite = wide[np.isfinite(wide)]
    if not finite.size:
        return "no finite value"
    text = f"min {finite.min():.6g}, max {finite.max():.6g}, mean {finite.mean():.6g}"
    return text + (f", {wide.size - finite.size} not finite" if finite.size < wide.size else "")
