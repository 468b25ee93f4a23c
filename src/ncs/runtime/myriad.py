"""A Neural Compute Stick through OpenVINO 2021.4's or 2022's IECore; also that library's other devices."""

from __future__ import annotations

import contextlib
import ctypes.util
import functools
from typing import Any, Callable  # noqa: UP035 - a board's Python is 3.7

import numpy as np

from caffe.utils.cache import bundled_libusb
from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runtime import base
from ncs.runtime.openvino import last_line

NO_STICK = "No devices found: no Neural Compute Stick answers; `ncs doctor` (on a board: python3 doctor.py) looks for the reason"


class Myriad(base.Runner):
    """A compiled blob, or ONNX or IR v10, on `device`: MYRIAD, MYRIAD.<name> of one of several, or CPU.

    `requests` are kept under way; `counters` prepares for `profile`.
    """

    def __init__(self, source: Any, device: str = "MYRIAD", requests: int = 2, counters: bool = False) -> None:
        core = ie_core()
        stick = device.upper().startswith("MYRIAD")
        if stick:
            device = _there(core, device)
        model = base.Model.of(source)
        path = model.pick(("blob", "onnx", "xml") if stick else ("onnx", "xml"))
        self.device = device
        self._network = _load(core, path, device, requests, {"PERF_COUNT": "YES"} if counters else {})
        self._requests = list(self._network.requests)
        self.in_flight = len(self._requests)
        self._next = 0
        self._input = base.only_input(path, list(self._network.input_info))
        outputs = list(self._network.outputs)
        self._output = model.output if model.output in outputs else outputs[0]
        self.input_shape = tuple(self._network.input_info[self._input].tensor_desc.dims)
        self.batch_size = self.input_shape[0]

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        base.check_shape(batch, self.input_shape)
        request = self._requests[self._next]
        self._next = (self._next + 1) % len(self._requests)
        self._guarded(lambda: request.async_infer({self._input: batch}))

        def wait() -> np.ndarray:
            status = self._guarded(lambda: request.wait(-1))
            if status != 0:
                raise DeviceLostError(f"{self.device}: a request ended with status {status}")
            return base.rows(self._guarded(lambda: request.output_blobs[self._output].buffer), len(batch))

        return wait

    def _guarded(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except RuntimeError as error:
            raise DeviceLostError(f"{self.device}: {last_line(error)}") from error

    def profile(self, batch: np.ndarray) -> list[tuple[str, str, float]]:
        """(layer, kind, milliseconds) of one request, where the model was loaded with counters."""
        self._next = 0
        self.run(batch)
        counts = self._guarded(self._requests[0].get_perf_counts)
        return [(name, row["layer_type"], row["real_time"] / 1e3) for name, row in counts.items()]

    def temperature(self) -> float | None:
        """Degrees Celsius of the stick, where it tells."""
        try:
            return float(self._network.get_metric("DEVICE_THERMAL"))
        except (RuntimeError, ValueError):
            return None

    def close(self) -> None:
        self._requests, self._network = [], None


@functools.lru_cache(maxsize=None)  # noqa: UP033 - a board's Python is 3.7
def ie_core() -> Any:
    """The Inference Engine of OpenVINO up to 2022.3. Raises NoDeviceError where it is not installed.

    One for the whole process: it owns the sticks it has opened, so a second one could not put another net on them.
    """
    try:
        from openvino.inference_engine import IECore
    except ImportError as error:
        raise NoDeviceError(
            f"No devices found: nothing here can talk to a Neural Compute Stick 2 ({error}); OpenVINO 2021.4.2 can, under Python "
            "3.6 to 3.9: `ncs doctor` tells how to give it a Python of its own"
        ) from error
    _lend_libusb()
    return IECore()


def _lend_libusb() -> None:
    """The plugin loads no further than libusb; where the system has none, the one beside the Myriad compiler serves."""
    if ctypes.util.find_library("usb-1.0") is None and bundled_libusb():
        with contextlib.suppress(OSError):
            ctypes.CDLL(bundled_libusb(), ctypes.RTLD_GLOBAL)


def sticks() -> list[str]:
    """MYRIAD.<name> of every stick here."""
    return sticks_of(ie_core())


def sticks_of(core: Any) -> list[str]:
    """MYRIAD.<name> of every stick that the library sees (MYRIAD.1.2-ma2480). Raises NoDeviceError with what it lacks."""
    try:
        return ["MYRIAD." + name for name in core.get_metric("MYRIAD", "AVAILABLE_DEVICES")]
    except RuntimeError as error:
        why = last_line(error)
        raise NoDeviceError(
            "No devices found: OpenVINO's plugin for sticks cannot be loaded (%s); `ncs doctor` tells what "
            "mends it" % (why.rpartition("/")[2] if "libusb" in why else why)
        ) from error


def _there(core: Any, device: str) -> str:
    """`device` as the library spells it. Raises NoDeviceError where it is not plugged in."""
    there = sticks_of(core)
    if not there:
        raise NoDeviceError(NO_STICK)
    if "." not in device:
        return device.upper()
    for name in there:
        if name.upper() == device.upper():
            return name
    raise NoDeviceError("No devices found under the name {}; there are {}".format(device, ", ".join(there)))


def _load(core: Any, path: str, device: str, requests: int, extra: dict[str, str]) -> Any:
    try:
        if path.endswith(".blob"):
            return core.import_network(path, device, extra, requests)
        settings = {"ENFORCE_BF16": "NO"} if device == "CPU" else {}  # numbers as trained, not bfloat16
        settings.update(extra)
        return core.load_network(core.read_network(path), device, settings, requests)
    except RuntimeError as error:
        text = last_line(error)
        if "no available devices" in text or "Can not init Myriad device" in text:
            raise NoDeviceError(NO_STICK + " (" + text + ")") from error
        if device.startswith("MYRIAD"):
            _there(core, device)  # it may have been pulled out meanwhile
        raise NcsError(f"{path}: cannot be loaded on {device}: {text}") from error
