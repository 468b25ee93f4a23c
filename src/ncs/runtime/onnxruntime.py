"""ONNX Runtime on the CPU, an implementation independent of OpenVINO."""

from __future__ import annotations

from typing import Any, Callable  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

from ncs.errors import NcsError, NoDeviceError
from ncs.runtime import base


class OnnxRuntime(base.Runner):
    """Runs an ONNX model with ONNX Runtime."""

    def __init__(self, source: Any, device: str = "ONNXRUNTIME", threads: int = 0) -> None:
        model = base.Model.of(source)
        path = model.pick(("onnx",))
        try:
            import onnxruntime
        except ImportError as error:
            raise NoDeviceError(f"ONNX Runtime is not installed ({error}); run `pip install onnxruntime`") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            inputs = {port.name: tuple(port.shape) for port in self._session.get_inputs()}
            outputs = {port.name: port.shape for port in self._session.get_outputs()}
        except Exception as error:  # its exceptions have no other common base class
            raise NcsError(f"{path}: ONNX Runtime cannot load it: {error}") from error
        self.device = device
        self._input = self.set_inputs(model, inputs)
        self._outputs = self.set_outputs(model, list(outputs))
        if len(self._outputs) == 1:
            self.output_shape = base.fixed_shape(outputs[self._outputs[0]])

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        result = base.rows(self._session.run(self._outputs, self.feeds(batch, self._input)), len(batch))
        return lambda: result

    def close(self) -> None:
        """Release the device."""
        self._session = None
