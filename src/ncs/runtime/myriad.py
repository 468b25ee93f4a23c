"""Neural Compute Stick 2 through the IECore of OpenVINO 2021.4 to 2022.3; also the CPU of that version."""

from __future__ import annotations

import contextlib
import ctypes.util
import functools
from typing import Any, Callable  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

from caffe.utils.cache import bundled_libusb
from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runtime import base
from ncs.runtime.openvino import last_line

NO_STICK = "No devices found: no Neural Compute Stick responds; run `ncs doctor` (in a bundle: python3 doctor.py)"


class Myriad(base.Runner):
    """Runs a blob, an ONNX model or an IR v10 on `device`: MYRIAD, MYRIAD.<name> for one of several sticks, or CPU.

    `requests` is the number of requests in flight; `counters` enables the performance counters that `profile` reads.
    """

    def __init__(self, source: Any, device: str = "MYRIAD", requests: int = 2, counters: bool = False) -> None:
        core = ie_core()
        stick = device.upper().startswith("MYRIAD")
        if stick:
            device = _find_stick(core, device)
        model = base.Model.of(source)
        readable = ("onnx", "xml_v10", "xml")  # an IR of another tool may be v10
        path = model.pick(("blob", *readable) if stick else readable)
        self.device = device
        self._network = _load(core, path, device, requests, {"PERF_COUNT": "YES"} if counters else {})
        self._requests = list(self._network.requests)
        self.in_flight = len(self._requests)
        self._next = 0
        inputs = {name: tuple(info.tensor_desc.dims) for name, info in self._network.input_info.items()}
        self._input = self.set_inputs(model, inputs)
        self._outputs = self.set_outputs(model, list(self._network.outputs))
        if len(self._outputs) == 1:
            self.output_shape = base.fixed_shape(getattr(self._network.outputs[self._outputs[0]], "shape", ()))

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        feeds = self.feeds(batch, self._input)
        request = self._requests[self._next]
        self._next = (self._next + 1) % len(self._requests)
        self._call(lambda: request.async_infer(feeds))

        def wait() -> np.ndarray:
            status = self._call(lambda: request.wait(-1))
            if status != 0:
                raise DeviceLostError(f"{self.device}: a request ended with status {status}")
            blobs = self._call(lambda: request.output_blobs)
            return base.rows(self._call(lambda: [blobs[name].buffer for name in self._outputs]), len(batch))

        return wait

    def _call(self, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except RuntimeError as error:
            raise DeviceLostError(f"{self.device}: {last_line(error)}") from error

    def profile(self, batch: np.ndarray) -> list[tuple[str, str, float]]:
        """Return (layer, type, milliseconds) per layer of one request; needs `counters`."""
        self._next = 0
        self.run(batch)
        counts = self._call(self._requests[0].get_perf_counts)
        return [(name, row["layer_type"], row["real_time"] / 1e3) for name, row in counts.items()]

    def temperature(self) -> float | None:
        """Return the temperature of the stick in degrees Celsius, or None if it is unknown."""
        try:
            return float(self._network.get_metric("DEVICE_THERMAL"))
        except (RuntimeError, ValueError):
            return None

    def close(self) -> None:
        """Release the device."""
        self._requests, self._network = [], None


@functools.lru_cache(maxsize=None)  # noqa: UP033 - the device side supports Python 3.7
def ie_core() -> Any:
    """Return the Inference Engine of OpenVINO up to 2022.3. Raises NoDeviceError if it is not installed.

    There is one per process: it owns the sticks it has opened, so a second one could not load another net on them.
    """
    try:
        from openvino.inference_engine import IECore
    except ImportError as error:
        raise NoDeviceError(
            f"No devices found: no runtime for Neural Compute Stick 2 is installed ({error}); OpenVINO 2021.4.2 "
            "is one, for Python 3.6 to 3.9: `ncs doctor` shows how to install it in an environment of its own"
        ) from error
    _load_libusb()
    return IECore()


def _load_libusb() -> None:
    """Load the libusb of the Myriad compiler if the system has none; the plugin cannot be loaded without it."""
    if ctypes.util.find_library("usb-1.0") is None and bundled_libusb():
        with contextlib.suppress(OSError):
            ctypes.CDLL(bundled_libusb(), ctypes.RTLD_GLOBAL)


def sticks() -> list[str]:
    """Return MYRIAD.<name> for every plugged-in stick."""
    return sticks_of(ie_core())


def sticks_of(core: Any) -> list[str]:
    """Return MYRIAD.<name> (MYRIAD.1.2-ma2480) for every stick. Raises NoDeviceError if the plugin cannot be loaded."""
    try:
        return ["MYRIAD." + name for name in core.get_metric("MYRIAD", "AVAILABLE_DEVICES")]
    except RuntimeError as error:
        reason = last_line(error)
        reason = reason.rpartition("/")[2] if "libusb" in reason else reason
        raise NoDeviceError(
            f"No devices found: OpenVINO's plugin for sticks cannot be loaded ({reason}); run `ncs doctor` for a fix"
        ) from error


def _find_stick(core: Any, device: str) -> str:
    """Return `device` as the library spells it. Raises NoDeviceError if it is not plugged in."""
    names = sticks_of(core)
    if not names:
        raise NoDeviceError(NO_STICK)
    if "." not in device:
        return device.upper()
    for name in names:
        if name.upper() == device.upper():
            return name
    raise NoDeviceError(f"No devices found with the name {device}; available: {', '.join(names)}")


def _load(core: Any, path: str, device: str, requests: int, extra: dict[str, str]) -> Any:
    try:
        if path.endswith(".blob"):
            return core.import_network(path, device, extra, requests)
        settings = {"ENFORCE_BF16": "NO"} if device == "CPU" else {}  # float32 as trained, not bfloat16
        settings.update(extra)
        return core.load_network(core.read_network(path), device, settings, requests)
    except RuntimeError as error:
        text = last_line(error)
        if "no available devices" in text or "Can not init Myriad device" in text:
            raise NoDeviceError(NO_STICK + " (" + text + ")") from error
        if device.startswith("MYRIAD"):
            _find_stick(core, device)  # the stick may have been unplugged in the meantime
        raise NcsError(f"{path}: cannot be loaded on {device}: {text}") from error
