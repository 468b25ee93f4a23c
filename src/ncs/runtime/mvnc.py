"""Neural Compute Sticks through Intel's NCSDK: the mvnc module, API v2 or v1, and its .graph files."""

from __future__ import annotations

import collections
import contextlib
from typing import Any, Callable  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

from ncs.errors import DeviceLostError, NoDeviceError
from ncs.runtime import base

IN_FLIGHT = 2  # the default of allocate_with_fifos


class Mvnc(base.Runner):
    """Runs a graph on a stick (`device`: MVNC for the first stick, MVNC.1 for the second …).

    The stick processes one image (height, width, channels) at a time and returns results in the order of the requests,
    so waiting for a result also reads all earlier ones.
    """

    def __init__(self, source: Any, device: str = "MVNC", api: Any = None) -> None:
        api = api or _mvnc()
        model = base.Model.of(source)
        path = model.pick(("graph", "blob"))
        number = int(device.partition(".")[2] or 0)
        with open(path, "rb") as stream:
            graph = stream.read()
        self.device, self.in_flight = device, IN_FLIGHT
        stick_class = _Version2 if hasattr(api, "enumerate_devices") else _Version1
        self._stick: Any = stick_class(api, number, model.name or "graph", graph)
        self.input_shape = model.shape or self._stick.shape()
        self._done: collections.deque[np.ndarray] = collections.deque()
        self._submitted = self._read = 0
        self._results: dict[int, np.ndarray] = {}

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        self._stick.put(np.ascontiguousarray(batch[0].transpose(1, 2, 0)))
        ticket = self._submitted
        self._submitted += 1

        def wait() -> np.ndarray:
            while ticket not in self._results:
                self._results[self._read] = base.rows([self._stick.get()], 1)
                self._read += 1
            return self._results.pop(ticket)

        return wait

    def temperature(self) -> float | None:
        """Return the highest recent temperature of the stick in degrees Celsius, or None if it is unknown."""
        try:
            return float(max(np.ravel(self._stick.temperatures())))
        except Exception:  # both API versions raise various exceptions
            return None

    def layer_times(self) -> np.ndarray:
        """Return the milliseconds of every layer in the last run (RO_TIME_TAKEN)."""
        return self._stick.times()

    def close(self) -> None:
        """Release the device."""
        if self._stick is not None:
            self._stick.close()
        self._stick = None


class _Version2:
    """NCSDK 2: Device, Graph and two Fifos."""

    def __init__(self, api: Any, number: int, name: str, graph: bytes) -> None:
        handles = api.enumerate_devices()
        if number >= len(handles):
            raise NoDeviceError(_no_device(number, len(handles)))
        self._api = api
        self._device = api.Device(handles[number])
        _call(self._device.open)
        self._graph = api.Graph(name)
        self._fifos = _call(lambda: self._graph.allocate_with_fifos(self._device, graph))
        self._output = self._output_sizes()

    def put(self, image: np.ndarray) -> None:
        _call(lambda: self._graph.queue_inference_with_fifo_elem(*self._fifos, image, None))

    def get(self) -> np.ndarray:
        values = _call(self._fifos[1].read_elem)[0]
        height, width, channels = self._output
        if np.size(values) != height * width * channels:
            return values
        return np.reshape(values, self._output).transpose(2, 0, 1)  # as all runners: channels outermost

    def _output_sizes(self) -> tuple[int, int, int]:
        """Return (H, W, C) of the output, NCSDK's layout; zeros if the graph does not report it."""
        try:
            (tensor,) = self._graph.get_option(self._api.GraphOption.RO_OUTPUT_TENSOR_DESCRIPTORS)
            return (tensor.h, tensor.w, tensor.c)
        except Exception:  # the API raises Exception itself
            return (0, 0, 0)

    def times(self) -> np.ndarray:
        return _call(lambda: self._graph.get_option(self._api.GraphOption.RO_TIME_TAKEN))

    def temperatures(self) -> Any:
        return self._device.get_option(self._api.DeviceOption.RO_THERMAL_STATS)

    def shape(self) -> tuple[int, ...]:
        (tensor,) = _call(lambda: self._graph.get_option(self._api.GraphOption.RO_INPUT_TENSOR_DESCRIPTORS))
        return (1, tensor.c, tensor.h, tensor.w)

    def close(self) -> None:
        for release in (
            *(fifo.destroy for fifo in self._fifos),
            self._graph.destroy,
            self._device.close,
            self._device.destroy,
        ):
            _call_quietly(release)


class _Version1:
    """NCSDK 1: half-precision tensors, LoadTensor and GetResult."""

    def __init__(self, api: Any, number: int, name: str, graph: bytes) -> None:
        names = api.EnumerateDevices()
        if number >= len(names):
            raise NoDeviceError(_no_device(number, len(names)))
        self._api = api
        self._device = api.Device(names[number])
        _call(self._device.OpenDevice)
        self._graph = _call(lambda: self._device.AllocateGraph(graph))

    def put(self, image: np.ndarray) -> None:
        _call(lambda: self._graph.LoadTensor(image.astype(np.float16), None))

    def get(self) -> np.ndarray:
        return _call(self._graph.GetResult)[0]

    def times(self) -> np.ndarray:
        return _call(lambda: self._graph.GetGraphOption(self._api.GraphOption.TIME_TAKEN))

    def temperatures(self) -> Any:
        return self._device.GetDeviceOption(self._api.DeviceOption.THERMAL_STATS)

    def shape(self) -> tuple[int, ...]:
        return ()  # API v1 does not report it

    def close(self) -> None:
        _call_quietly(self._graph.DeallocateGraph)
        _call_quietly(self._device.CloseDevice)


def sticks() -> list[str]:
    """Return MVNC.<number> for every plugged-in stick."""
    api = _mvnc()
    handles = api.enumerate_devices() if hasattr(api, "enumerate_devices") else api.EnumerateDevices()
    return [f"MVNC.{number}" for number in range(len(handles))]


def _mvnc() -> Any:
    try:
        from mvnc import mvncapi
    except ImportError as error:
        raise NoDeviceError(f"No devices found: Intel's NCSDK is not installed ({error})") from error
    return mvncapi


def _no_device(number: int, count: int) -> str:
    if not count:
        return "No devices found"
    return f"No devices found with number {number}: {count} are plugged in, numbered from 0"


def _call(function: Callable[[], Any]) -> Any:
    """Call the NCSDK; it raises a plain Exception with a status for every error."""
    try:
        return function()
    except Exception as error:
        raise DeviceLostError(f"the stick: {error or type(error).__name__}") from error


def _call_quietly(function: Callable[[], Any]) -> None:
    """Release a resource, ignoring errors of a stick that is already lost."""
    with contextlib.suppress(Exception):
        function()
