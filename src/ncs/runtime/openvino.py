"""OpenVINO 2022.1 and newer: CPU, GPU, NPU, AUTO, HETERO and MULTI."""

from __future__ import annotations

import os
from typing import Any, Callable, Iterator  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

from caffe.utils.cache import cache_folder
from caffe.utils.telemetry import import_openvino
from ncs.errors import NcsError, NoDeviceError
from ncs.runtime import base


class OpenVINO(base.Runner):
    """Runs an ONNX model or an IR on an OpenVINO device.

    Parameters
    ----------
    source : Manifest, path or list of paths
        See `ncs.runtime.open_runner`. The CPU prefers the ONNX file, because an IR's weights are rounded to half
        precision.
    device : str
        Name of the OpenVINO device.
    hint : str
        OpenVINO's performance hint: "latency", or "throughput" for many images.
    cache : str, optional
        Folder for compiled models (default: this program's cache, "" for the CPU).
    precision : str
        Inference precision on the CPU: "f32" as trained; "bf16" or "" (OpenVINO's choice) can be faster.
    batch : int
        Batch size; 0 keeps the model's own.
    requests : int
        Requests in flight; 0 uses OpenVINO's optimum for the hint.
    counters : bool
        Enable the performance counters that `profile` reads.
    max_batch : int
        Run batches of any size up to this one without padding; 0 keeps the fixed batch size.
    """

    takes_batch = takes_any_batch = True

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
        max_batch: int = 0,
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
            if len(model.inputs) < 2:
                base.only_input(path, ["/".join(sorted(port.get_names())) for port in network.inputs])
            if batch or max_batch:
                count = -1 if max_batch else batch
                network.reshape({port: [count, *list(port.shape)[1:]] for port in network.inputs})
            self._compiled = core.compile_model(network, device, settings)
        except (RuntimeError, UnicodeDecodeError) as error:  # UnicodeDecodeError: a name in the model is not UTF-8
            reason = last_line(error)
            raise NcsError(f"{path}: OpenVINO cannot load it on {device}: {reason}") from error
        self.device = device
        self._outputs = _outputs(self._compiled, model)
        ports = [port for port in self._compiled.outputs if port not in self._outputs]
        self.other_outputs = tuple("/".join(sorted(port.get_names())) for port in ports)
        self._input = self.set_inputs(model, _input_shapes(self._compiled, model, max_batch))
        self._pads = not max_batch
        if len(self._outputs) == 1 and not self._outputs[0].partial_shape.is_dynamic:
            self.output_shape = tuple(self._outputs[0].shape)
        optimal = int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.in_flight = max(1, requests or optimal)
        self._requests = [self._compiled.create_infer_request() for _ in range(self.in_flight)]
        self._next = 0

    def _split(self, batch: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        if self._pads:
            yield from super()._split(batch)
            return
        for begin in range(0, len(batch), self.batch_size):
            chunk = batch[begin : begin + self.batch_size]
            yield chunk, len(chunk)

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        feeds = self.feeds(batch, self._input)
        request = self._requests[self._next]
        self._next = (self._next + 1) % len(self._requests)
        request.start_async(feeds if self.input_shapes else {0: batch})

        def wait() -> np.ndarray:
            request.wait()
            return base.rows([request.get_tensor(output).data for output in self._outputs], len(batch))

        return wait

    def profile(self, batch: np.ndarray) -> list[tuple[str, str, float]]:
        """Return (layer, type, milliseconds) per layer of one request; needs `counters`."""
        self.run(batch)
        info = self._requests[0].profiling_info
        return [(row.node_name, row.node_type, row.real_time.total_seconds() * 1e3) for row in info]

    def close(self) -> None:
        """Release the device."""
        self._requests, self._compiled = [], None


def _core() -> Any:
    try:
        openvino = import_openvino()
        return openvino.Core() if hasattr(openvino, "Core") else _older_core()
    except ImportError as error:
        raise NoDeviceError(f"OpenVINO is not installed ({error}); run `pip install openvino`") from error


def _older_core() -> Any:
    """OpenVINO 2022.1 to 2023.0 have Core in `openvino.runtime`; 2021 has none."""
    import openvino.runtime as runtime

    return runtime.Core()


def _check_device(core: Any, device: str) -> None:
    available = [name.split(".")[0] for name in core.available_devices]
    family, _, rest = device.partition(":")
    required = rest.split(",") if rest else [] if family in ("AUTO", "HETERO", "MULTI", "BATCH") else [family]
    missing = [name for name in required if name.strip("-").split(".")[0].split("(")[0] not in available]
    if missing:
        raise NoDeviceError(
            f"No devices found: OpenVINO has no {', '.join(missing)} here; available: {', '.join(available) or 'none'}"
        )


def _outputs(compiled: Any, model: base.Model) -> list[Any]:
    """Return the ports of the model's outputs; without a known name the first one."""
    by_name = {name: port for port in compiled.outputs for name in port.get_names()}
    if not by_name:  # an IR without names of tensors
        return [compiled.output(0)]
    first = sorted(compiled.output(0).get_names())
    names = [*first, *(name for name in by_name if name not in first)]
    return [by_name[name] for name in model.select_outputs(names)]


def _input_shapes(compiled: Any, model: base.Model, max_batch: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every input, by its name in the manifest if it has one; `max_batch` is a dynamic batch's."""
    shapes = {}
    for port in compiled.inputs:
        names = sorted(port.get_names())
        known = [name for name in names if name in model.inputs]
        sizes = tuple(size.get_length() for size in list(port.partial_shape)[1:])
        shapes[(known or names or ["input"])[0]] = (max_batch or port.partial_shape[0].get_length(), *sizes)
    return shapes


def default_cache(device: str) -> str:
    """Return the cache folder for compiled models; "" for the CPU, where a cache saves no time."""
    if device == "CPU":
        return ""
    return os.path.join(cache_folder(), "openvino")


def last_line(error: BaseException) -> str:
    """Return the last non-empty line of an exception's text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
