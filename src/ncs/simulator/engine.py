"""Run a blob stage by stage, from its own bytes. Every result is simulated: no chip computed it."""

from __future__ import annotations

import os
import time
from typing import Callable, Optional, Sequence  # noqa: UP035 - Python 3.7 on the device

import numpy as np

from caffe.errors import CaffeError
from caffe.utils.input_file import read_bytes
from ncs.errors import NcsError
from ncs.myriad.blob import MAX_BLOB
from ncs.simulator import stages
from ncs.simulator.call import Call, Report, WeightCache, caffe_order
from ncs.simulator.layout import layout_faults
from ncs.simulator.memory import Memory, round_to_dtype
from ncs.simulator.program import Port, Program, StageRecord
from ncs.simulator.reader import read_program

SIMULATED = "simulated"
WEIGHT_CACHE_BYTES = 1 << 29
# Exceptions of NumPy for the sizes and offsets of damaged blobs.
DAMAGE_ERRORS = (ValueError, IndexError, ZeroDivisionError, OverflowError, MemoryError)
StageCallback = Callable[[Optional[StageRecord], Memory], None]  # noqa: UP045 - evaluated by Python 3.7


class Simulator:
    """A compiled blob that runs on this machine.

    Parameters
    ----------
    content : bytes
        The blob.
    half : bool
        Accumulate in FP16 instead of float32: a pessimistic bound for the chip's unknown order of summation.
    names : sequence of str
        Layer name per stage, for error messages (a blob contains no layer names).

    Raises
    ------
    NcsError
        If the blob is damaged, has another version or chip, or contains an unsupported kind of stage.
    """

    def __init__(self, content: bytes, half: bool = False, names: Sequence[str] = ()) -> None:
        self.program: Program = read_program(content)
        self.half, self.names = half, list(names)
        self._functions = stages.load()
        for record in self.program.stages:
            self._check_kind(record)
        self.faults = layout_faults(self.program)
        self._memory = Memory(self.program)
        self._weight_cache = WeightCache(WEIGHT_CACHE_BYTES)
        self.report = Report()
        self.seconds: list[float] = []

    @classmethod
    def from_file(cls, path: str | os.PathLike, half: bool = False, names: Sequence[str] = ()) -> Simulator:
        """Return a Simulator of a blob file; error messages start with the path."""
        try:
            content = read_bytes(path, MAX_BLOB)
        except CaffeError as error:
            raise NcsError(str(error)) from None
        try:
            return cls(content, half, names)
        except NcsError as error:
            raise NcsError(f"{os.fspath(path)}: {error}") from None

    def label(self, record: StageRecord) -> str:
        """Return the name of a stage for messages, such as `stage 3 (MyriadXHwOp, layer conv1)`."""
        name = self.names[record.number] if record.number < len(self.names) else ""
        return f"stage {record.number} ({record.kind}{', layer ' + name if name else ''})"

    def _check_kind(self, record: StageRecord) -> None:
        if record.kind not in self._functions:
            raise NcsError(f"{self.label(record)}: the simulator does not support this kind of stage")
        if record.injected:
            self._check_kind(record.injected)

    def run(
        self, inputs: dict[str, np.ndarray], callback: StageCallback | None = None, last_stage: int | None = None
    ) -> dict[str, np.ndarray]:
        """Run one inference.

        Parameters
        ----------
        inputs : dict
            Input name to array: (N, C, H, W) for images, otherwise with the blob's own axes.
        callback : callable
            Called with (stage, memory) after each stage, and with (None, memory) before the first.
        last_stage : int
            Number of the last stage to run; the result is then empty.

        Returns
        -------
        dict
            Output name to float32 array in Caffe's order of axes (NCHW, NC).

        Raises
        ------
        NcsError
            If the inputs do not match the blob's, or a stage cannot be computed.
        """
        self.report, self.seconds = Report(), []
        parts = self._split_batch(inputs)
        if last_stage is not None:
            self._run_once(parts[0], callback, last_stage)
            return {}
        results = [self._run_once(part, callback) for part in parts]
        return {name: np.concatenate([part[name] for part in results]) for name in results[0]}

    def findings(self) -> list[str]:
        """Return the problems found in the blob and its last run, one line each."""
        lines = self.faults + [str(read) for read in self.report.unwritten if not read.harmless]
        lines += [f"{stage}: {count} values overflow FP16" for stage, count in self.report.overflows]
        return lines + self.report.assumptions

    def _run_once(
        self, inputs: dict[str, np.ndarray], callback: StageCallback | None, last_stage: int | None = None
    ) -> dict[str, np.ndarray]:
        callback = callback or (lambda record, memory: None)
        self._memory.reset()
        for port in self.program.inputs:
            self._memory.write(port.tensor, round_to_dtype(inputs[port.name], port.tensor.dtype))
        callback(None, self._memory)
        for record in self.program.stages[: None if last_stage is None else last_stage + 1]:
            begin = time.perf_counter()
            self._run_stage(record)
            self.seconds.append(time.perf_counter() - begin)
            callback(record, self._memory)
        return {} if last_stage is not None else {port.name: self._result(port) for port in self.program.outputs}

    def _run_stage(self, record: StageRecord) -> None:
        call = Call(record, self._memory, self.report, self._weight_cache, self.half, self.label(record))
        try:
            with np.errstate(all="ignore"):
                self._functions[record.kind](call)
        except DAMAGE_ERRORS as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise NcsError(f"{self.label(record)}: its parameters do not match its tensors: {text}") from None
        self.report.counts.append(call.count)
        if record.injected:
            self._run_stage(record.injected)

    def _split_batch(self, inputs: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Split the inputs: a blob with batch size N runs its stages N times, on one image each."""
        names = [port.name for port in self.program.inputs]
        if sorted(inputs) != sorted(names):
            raise NcsError(f"inputs: expected {', '.join(names)}, received {', '.join(inputs) or 'none'}")
        arrays = {port.name: self._to_blob_order(port, np.asarray(inputs[port.name])) for port in self.program.inputs}
        chunks = {name: np.split(array, self.program.batch) for name, array in arrays.items()}
        return [{name: chunk[number] for name, chunk in chunks.items()} for number in range(self.program.batch)]

    def _to_blob_order(self, port: Port, values: np.ndarray) -> np.ndarray:
        """Check the shape of an input and return it with the blob's order of axes."""
        tensor = port.tensor
        letters = caffe_order(tensor.order)
        shape = self.shape(port)
        if values.shape != shape:
            raise NcsError(
                f"input '{port.name}': expected {'x'.join(map(str, shape))} ({''.join(letters)}), "
                f"received {'x'.join(map(str, values.shape))}"
            )
        return values.transpose([letters.index(letter) for letter in tensor.order])

    def shape(self, port: Port) -> tuple[int, ...]:
        """Return the shape of an input or output in Caffe's order of axes, including the batch size."""
        axes = dict(zip(port.tensor.order, port.tensor.dims))
        shape = [axes[letter] for letter in caffe_order(port.tensor.order)]
        return (shape[0] * self.program.batch, *shape[1:])

    def _result(self, port: Port) -> np.ndarray:
        tensor = port.tensor
        mask = self._memory.unwritten_mask(tensor)
        if mask is not None:
            raise NcsError(f"output '{port.name}': no stage wrote {int(mask.sum())} of its {mask.size} elements")
        values = self._memory.view(tensor).astype(np.float32)
        letters = caffe_order(tensor.order)
        return values.transpose([tensor.order.index(letter) for letter in letters])
