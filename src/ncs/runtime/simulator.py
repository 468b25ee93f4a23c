"""Runner that executes a blob in the simulator; its device name says that the output is simulated."""

from __future__ import annotations

from typing import Any, Callable, Sequence  # noqa: UP035 - Python 3.7 on the device

import numpy as np

from ncs.runtime import base


class Simulated(base.Runner):
    """Runner of a compiled blob without a stick.

    Parameters
    ----------
    source : str or manifest
        A blob, or the manifest of a compiled net.
    device : str
        Name of the device.
    half : bool
        Accumulate in FP16 (slow).
    names : sequence of str
        Layer name per stage, for error messages.
    """

    def __init__(self, source: Any, device: str = "SIMULATOR", half: bool = False, names: Sequence[str] = ()) -> None:
        from ncs.simulator import SIMULATED, Simulator

        model = base.Model.of(source)
        path = model.pick(("blob",))
        self.simulator = Simulator.from_file(path, half, names)
        self.device = f"{device} ({SIMULATED})"
        ports = {port.name: port for port in self.simulator.program.inputs}
        self._input = base.only_input(path, list(ports))
        outputs = [port.name for port in self.simulator.program.outputs]
        self._output = model.output if model.output in outputs else outputs[0]
        self.input_shape = self.simulator.shape(ports[self._input])
        self.batch_size = self.input_shape[0]

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        base.check_shape(batch, self.input_shape)
        result = base.rows(self.simulator.run({self._input: batch})[self._output], len(batch))
        return lambda: result

    def findings(self) -> list[str]:
        """Return the problems found in the last run: reads of unwritten memory, races, overflows, assumptions."""
        return self.simulator.findings()
