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
        except Exception as error:  # its exceptions have no other common base class
            raise NcsError(f"{path}: ONNX Runtime cannot load it: {error}") from error
        self.device = device
        self.input_shape = tuple(self._session.get_inputs()[0].shape)
        self._input = base.only_input(path, [port.name for port in self._session.get_inputs()])
        names = [output.name for output in self._session.get_outputs()]
        self._output = model.output if model.output in names else names[0]
        self.output_shape = base.fixed_shape(self._session.get_outputs()[names.index(self._output)].shape)
        self.batch_size = self.input_shape[0]

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        base.check_shape(batch, self.input_shape)
        result = base.rows(self._session.run([self._output], {self._input: batch})[0], len(batch))
        return lambda: result

    def close(self) -> None:
        """Release the device."""
        self._session = None
