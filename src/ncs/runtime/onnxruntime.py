"""ONNX Runtime on the CPU: a second opinion that shares no code with OpenVINO."""

from __future__ import annotations

from typing import Any, Callable  # noqa: UP035 - a board's Python is 3.7

import numpy as np

from ncs.errors import NcsError, NoDeviceError
from ncs.runtime import base


class OnnxRuntime(base.Runner):
    """An ONNX model in ONNX Runtime."""

    def __init__(self, source: Any, device: str = "ONNXRUNTIME", threads: int = 0) -> None:
        model = base.Model.of(source)
        path = model.pick(("onnx",))
        try:
            import onnxruntime
        except ImportError as error:
            raise NoDeviceError(
                f"ONNX Runtime is not installed here ({error}); `pip install onnxruntime` gives it"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            names = [port.name for port in self._session.get_inputs()]
            outputs = [output.name for output in self._session.get_outputs()]
        except Exception as error:  # its exceptions share no base but Exception
            raise NcsError(f"{path}: ONNX Runtime cannot load it: {error}") from error
        self.device = device
        self.input_shape = tuple(self._session.get_inputs()[0].shape)
        self._input = base.only_input(path, names)
        self._output = model.output if model.output in outputs else outputs[0]
        self.batch_size = self.input_shape[0]

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        base.check_shape(batch, self.input_shape)
        result = base.rows(self._session.run([self._output], {self._input: batch})[0], len(batch))
        return lambda: result

    def close(self) -> None:
        self._session = None
