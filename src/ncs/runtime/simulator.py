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
        program = self.simulator.program
        self._input = self.set_inputs(model, {port.name: self.simulator.shape(port) for port in program.inputs})
        outputs = {port.name: port for port in program.outputs}
        self._outputs = self.set_outputs(model, list(outputs))
        if len(self._outputs) == 1:
            self.output_shape = self.simulator.shape(outputs[self._outputs[0]])

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        outputs = self.simulator.run(self.feeds(batch, self._input))
        result = base.rows([outputs[name] for name in self._outputs], len(batch))
        return lambda: result

    def findings(self) -> list[str]:
        """Return the problems found in the last run: reads of unwritten memory, races, overflows, assumptions."""
        return self.simulator.findings()
