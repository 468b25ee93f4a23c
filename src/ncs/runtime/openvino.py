"""Today's OpenVINO: CPU, GPU, NPU, AUTO, HETERO and MULTI."""

from __future__ import annotations

import os
from typing import Any, Callable  # noqa: UP035 - a board's Python is 3.7

import numpy as np

from caffe.utils.cache import cache_folder
from ncs.errors import NcsError, NoDeviceError
from ncs.runtime import base
from ncs.runtime.telemetry import import_openvino


class OpenVINO(base.Runner):
    """A model compiled by OpenVINO 2022.1 or newer for `device`.

    `hint` is "latency", or "throughput" where many pictures are to be answered; `requests` is how many are
    kept under way (default: as many as OpenVINO thinks best for the hint). `cache` names a folder that keeps
    compiled models (default: this program's cache, for devices other than the CPU). On the CPU the numbers
    are float32, as the net was trained, from the ONNX file where there is one (an IR's weights are rounded
    to half precision); `precision` "bf16" or "" (OpenVINO's choice) trades that for speed.
    `batch` gives the model another batch size than it was written with, for folders of pictures;
    `counters` prepares for `profile`.
    """

    takes_batch = True

    def __init__(
        self,
        source: Any,
        device: str = "CPU",
        hint: str = "latency",
        cache: str | None = None,
        precision: str = "f32",
        batch: int = 0,
        requests: int = 0,
        counters: bool = False,
    ) -> None:
        model = base.Model.of(source)
        path = model.pick(("onnx", "xml") if device == "CPU" else ("xml", "onnx"))
        core = _core()
        _check_device(core, device)
        settings: dict[str, Any] = {"PERFORMANCE_HINT": hint.upper()}
        if requests:
            settings["PERFORMANCE_HINT_NUM_REQUESTS"] = requests
        if counters:
            settings["PERF_COUNT"] = True
        if device == "CPU" and precision:
            settings["INFERENCE_PRECISION_HINT"] = precision
        folder = cache if cache is not None else default_cache(device)
        if folder:
            settings["CACHE_DIR"] = folder
        try:
            network = core.read_model(path)
            base.only_input(path, ["/".join(sorted(port.get_names())) for port in network.inputs])
            if batch:
                network.reshape([batch, *list(network.input(0).shape)[1:]])
            self._compiled = core.compile_model(network, device, settings)
        except (RuntimeError, UnicodeDecodeError) as error:  # a name in it that is not UTF-8
            reason = last_line(error)
            raise NcsError(f"{path}: OpenVINO cannot load it on {device}: {reason}") from error
        self.device = device
        self._output = _output(self._compiled, model.output)
        self.input_shape = tuple(self._compiled.input(0).shape)
        self.batch_size = self.input_shape[0]
        optimal = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.in_flight = max(1, requests or optimal)
        self._requests = [self._compiled.create_infer_request() for _ in range(self.in_flight)]
        self._next = 0

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        base.check_shape(batch, self.input_shape)
        request = self._requests[self._next]
        self._next = (self._next + 1) % len(self._requests)
        request.start_async({0: batch})

        def wait() -> np.ndarray:
            request.wait()
            return base.rows(request.get_tensor(self._output).data, len(batch))

        return wait

    def profile(self, batch: np.ndarray) -> list[tuple[str, str, float]]:
        """(layer, kind, milliseconds) of one request, where the model was compiled with counters."""
        self.run(batch)
        info = self._requests[0].profiling_info
        return [(row.node_name, row.node_type, row.real_time.total_seconds() * 1e3) for row in info]

    def close(self) -> None:
        self._requests, self._compiled = [], None


def _core() -> Any:
    try:
        openvino = import_openvino()
        return openvino.Core() if hasattr(openvino, "Core") else _older_core()
    except ImportError as error:
        raise NoDeviceError(f"OpenVINO is not installed here ({error}); `pip install openvino` gives it") from error


def _older_core() -> Any:
    """OpenVINO 2022.1 to 2023.0 keep Core in a module of its own; 2021 has none."""
    import openvino.runtime as runtime

    return runtime.Core()


def _check_device(core: Any, device: str) -> None:
    there = [name.split(".")[0] for name in core.available_devices]
    family, _, rest = device.partition(":")
    wanted = rest.split(",") if rest else [] if family in ("AUTO", "HETERO", "MULTI", "BATCH") else [family]
    missing = [name for name in wanted if name.strip("-").split(".")[0].split("(")[0] not in there]
    if missing:
        raise NoDeviceError(
            "No devices found: OpenVINO has no {} here; it has {}".format(
                ", ".join(missing), ", ".join(there) or "none"
            )
        )


def _output(compiled: Any, name: str) -> Any:
    """The output called `name`, else the only one, else the first."""
    if name:
        for output in compiled.outputs:
            if name in output.get_names():
                return output
    return compiled.output(0)


def default_cache(device: str) -> str:
    """Folder for compiled models, "" for the CPU, where compiling takes no longer than reading."""
    if device == "CPU":
        return ""
    return os.path.join(cache_folder(), "openvino")


def last_line(error: BaseException) -> str:
    """The last line of an exception's text that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
