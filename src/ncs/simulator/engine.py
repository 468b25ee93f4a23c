"""Runs a blob stage by stage, from its own bytes. Every result is simulated: no chip computed it."""

from __future__ import annotations

import os
import time
from typing import Callable, Optional, Sequence  # noqa: UP035 - a board's Python is 3.7

import numpy as np

from ncs.errors import NcsError
from ncs.simulator import stages
from ncs.simulator.call import Call, Constants, Report, plain_order
from ncs.simulator.layout import faults
from ncs.simulator.memory import Memory, rounded
from ncs.simulator.program import Port, Program, StageRecord
from ncs.simulator.reader import read_program

SIMULATED = "simulated"
KEPT_WEIGHTS = 1 << 29
# What numpy raises for sizes and places that only a damaged blob has.
DAMAGE = (ValueError, IndexError, ZeroDivisionError, OverflowError, MemoryError)
DivergenceMonitor = Callable[[Optional[StageRecord], Memory], None]  # noqa: UP045 - evaluated, by Python 3.7 too


class Simulator:
    """A blob ready to run on this machine.

    Parameters
    ----------
    content : bytes
        The blob.
    half : bool
        Sum products in FP16 rather than in float32: a pessimistic bound for the chip's unknown order of adding.
    names : sequence of str
        What to call the stages in errors, where somebody knows (a blob holds no layer names).

    Raises
    ------
    NcsError
        For a blob that is damaged, of another version or chip, or that has a stage kind not known here.
    """

    def __init__(self, content: bytes, half: bool = False, names: Sequence[str] = ()) -> None:
        self.program: Program = read_program(content)
        self.half, self.names = half, list(names)
        self._functions = stages.load()
        for record in self.program.stages:
            self._check_kind(record)
        self.faults = faults(self.program)
        self._memory = Memory(self.program)
        self._constants = Constants(KEPT_WEIGHTS)
        self.report = Report()
        self.seconds: list[float] = []

    @classmethod
    def from_file(cls, path: str | os.PathLike, half: bool = False, names: Sequence[str] = ()) -> Simulator:
        """A Simulator of a blob file; errors name the file."""
        try:
            with open(path, "rb") as stream:
                content = stream.read()
        except OSError as error:
            raise NcsError(f"{os.fspath(path)}: {error.strerror or error}") from error
        try:
            return cls(content, half, names)
        except NcsError as error:
            raise NcsError(f"{os.fspath(path)}: {error}") from None

    def label(self, record: StageRecord) -> str:
        """stage 3 (MyriadXHwOp, layer conv1)."""
        name = self.names[record.number] if record.number < len(self.names) else ""
        return f"stage {record.number} ({record.kind}{', layer ' + name if name else ''})"

    def _check_kind(self, record: StageRecord) -> None:
        if record.kind not in self._functions:
            raise NcsError(f"{self.label(record)}: the simulator does not know this kind of stage")
        if record.injected:
            self._check_kind(record.injected)

    def run(
        self, inputs: dict[str, np.ndarray], watch: DivergenceMonitor | None = None, stop: int | None = None
    ) -> dict[str, np.ndarray]:
        """Run one inference.

        Parameters
        ----------
        inputs : dict
            Input name to array, (N, C, H, W) for images, in the blob's own axes otherwise.
        watch : callable
            Called with (stage, memory) after each stage, and with (None, memory) before the first.
        stop : int
            Number of the last stage to run; there are no results then.

        Returns
        -------
        dict
            Output name to float32 array in Caffe's order of axes (NCHW, NC).
        """
        self.report, self.seconds = Report(), []
        parts = self._parts(inputs)
        if stop is not None:
            self._run_once(parts[0], watch, stop)
            return {}
        results = [self._run_once(part, watch) for part in parts]
        return {name: np.concatenate([part[name] for part in results]) for name in results[0]}

    def findings(self) -> list[str]:
        """Lines on what speaks against the blob after a run; empty where nothing does."""
        lines = self.faults + [str(read) for read in self.report.unwritten if not read.harmless]
        lines += [f"{stage}: {count} values overflow FP16" for stage, count in self.report.overflows]
        return lines + self.report.notes

    def _run_once(
        self, inputs: dict[str, np.ndarray], watch: DivergenceMonitor | None, stop: int | None = None
    ) -> dict[str, np.ndarray]:
        watch = watch or (lambda record, memory: None)
        self._memory.reset()
        for port in self.program.inputs:
            self._memory.write(port.tensor, rounded(inputs[port.name], port.tensor.dtype))
        watch(None, self._memory)
        for record in self.program.stages[: None if stop is None else stop + 1]:
            begin = time.perf_counter()
            self._run_stage(record)
            self.seconds.append(time.perf_counter() - begin)
            watch(record, self._memory)
        return {} if stop is not None else {port.name: self._result(port) for port in self.program.outputs}

    def _run_stage(self, record: StageRecord) -> None:
        call = Call(record, self._memory, self.report, self._constants, self.half, self.label(record))
        try:
            with np.errstate(all="ignore"):
                self._functions[record.kind](call)
        except DAMAGE as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise NcsError(f"{self.label(record)}: its parameters and tensors do not fit together: {text}") from None
        if record.injected:
            self._run_stage(record.injected)

    def _parts(self, inputs: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """The inputs of each run of the stages: a blob of batch N runs them N times, on one image each."""
        names = [port.name for port in self.program.inputs]
        if sorted(inputs) != sorted(names):
            raise NcsError(f"the blob's inputs are {', '.join(names)}; received {', '.join(inputs) or 'none'}")
        arrays = {port.name: self._in_order(port, np.asarray(inputs[port.name])) for port in self.program.inputs}
        pieces = {name: np.split(array, self.program.batch) for name, array in arrays.items()}
        return [{name: piece[number] for name, piece in pieces.items()} for number in range(self.program.batch)]

    def _in_order(self, port: Port, values: np.ndarray) -> np.ndarray:
        """An input with the blob's order of axes; its shape is checked."""
        tensor = port.tensor
        plain = plain_order(tensor.order)
        shape = self.shape(port)
        if values.shape != shape:
            raise NcsError(
                f"input '{port.name}': expected {'x'.join(map(str, shape))} ({''.join(plain)}), "
                f"received {'x'.join(map(str, values.shape))}"
            )
        return values.transpose([plain.index(letter) for letter in tensor.order])

    def shape(self, port: Port) -> tuple[int, ...]:
        """The shape of an input or output in Caffe's order of axes, all images of the batch together."""
        axes = dict(zip(port.tensor.order, port.tensor.dims))
        shape = [axes[letter] for letter in plain_order(port.tensor.order)]
        return (shape[0] * self.program.batch, *shape[1:])

    def _result(self, port: Port) -> np.ndarray:
        tensor = port.tensor
        missing = self._memory.missing(tensor)
        if missing is not None:
            raise NcsError(f"output '{port.name}': no stage wrote {int(missing.sum())} of its {missing.size} elements")
        values = self._memory.view(tensor).astype(np.float32)
        plain = plain_order(tensor.order)
        return values.transpose([tensor.order.index(letter) for letter in plain])
