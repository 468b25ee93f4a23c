"""A Neural Compute Stick through Intel's NCSDK: the mvnc module, API v2 or v1, and its .graph files."""

from __future__ import annotations

import collections
import contextlib
from typing import Any, Callable  # noqa: UP035 - a board's Python is 3.7

import numpy as np

from ncs.errors import DeviceLostError, NoDeviceError
from ncs.runtime import base

IN_FLIGHT = 2  # what allocate_with_fifos gives by default


class Mvnc(base.Runner):
    """A graph on a stick (`device`: MVNC for the first one, MVNC.1 for the second …).

    The stick takes one picture at a time, height x width x channels; answers come back in the order of the
    questions, so a result that is asked for early waits for those before it.
    """

    def __init__(self, source: Any, device: str = "MVNC", api: Any = None) -> None:
        api = api or _mvnc()
        model = base.Model.of(source)
        path = model.pick(("graph", "blob"))
        number = int(device.partition(".")[2] or 0)
        with open(path, "rb") as stream:
            graph = stream.read()
        self.device, self.in_flight = device, IN_FLIGHT
        kind = _Version2 if hasattr(api, "enumerate_devices") else _Version1
        self._stick: Any = kind(api, number, model.name or "graph", graph)
        self.input_shape = model.shape or self._stick.shape()
        self._done: collections.deque[np.ndarray] = collections.deque()
        self._asked = self._read = 0
        self._kept: dict[int, np.ndarray] = {}

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        picture = np.ascontiguousarray(batch[0].transpose(1, 2, 0))
        self._stick.put(picture)
        ticket = self._asked
        self._asked += 1

        def wait() -> np.ndarray:
            while ticket not in self._kept:
                self._kept[self._read] = base.rows(self._stick.get(), 1)
                self._read += 1
            return self._kept.pop(ticket)

        return wait

    def temperature(self) -> float | None:
        """The highest of what the stick says of the last seconds."""
        try:
            return float(max(np.ravel(self._stick.temperatures())))
        except Exception:  # whatever an API of either version raises where it does not tell
            return None

    def layer_times(self) -> np.ndarray:
        """Milliseconds of every layer in the last run (RO_TIME_TAKEN)."""
        return self._stick.times()

    def close(self) -> None:
        if self._stick is not None:
            self._stick.close()
        self._stick = None


class _Version2:
    """NCSDK 2: Device, Graph and two Fifos."""

    def __init__(self, api: Any, number: int, name: str, graph: bytes) -> None:
        handles = api.enumerate_devices()
        if number >= len(handles):
            raise NoDeviceError(_none(number, len(handles)))
        self._api = api
        self._device = api.Device(handles[number])
        self._call(self._device.open)
        self._graph = api.Graph(name)
        self._fifos = self._call(lambda: self._graph.allocate_with_fifos(self._device, graph))

    def put(self, picture: np.ndarray) -> None:
        self._call(lambda: self._graph.queue_inference_with_fifo_elem(*self._fifos, picture, None))

    def get(self) -> np.ndarray:
        return self._call(self._fifos[1].read_elem)[0]

    def times(self) -> np.ndarray:
        return self._call(lambda: self._graph.get_option(self._api.GraphOption.RO_TIME_TAKEN))

    def temperatures(self) -> Any:
        return self._device.get_option(self._api.DeviceOption.RO_THERMAL_STATS)

    def shape(self) -> tuple[int, ...]:
        (build_only,) = self._call(lambda: self._graph.get_option(self._api.GraphOption.RO_INPUT_TENSOR_DESCRIPTORS))
        return (1, build_only.c, build_only.h, build_only.w)

    def close(self) -> None:
        for step in (
            *(fifo.destroy for fifo in self._fifos),
            self._graph.destroy,
            self._device.close,
            self._device.destroy,
        ):
            _quietly(step)

    def _call(self, step: Callable[[], Any]) -> Any:
        return _lost(step)


class _Version1:
    """NCSDK 1: half-precision tensors, LoadTensor and GetResult."""

    def __init__(self, api: Any, number: int, name: str, graph: bytes) -> None:
        names = api.EnumerateDevices()
        if number >= len(names):
            raise NoDeviceError(_none(number, len(names)))
        self._api = api
        self._device = api.Device(names[number])
        _lost(self._device.OpenDevice)
        self._graph = _lost(lambda: self._device.AllocateGraph(graph))

    def put(self, picture: np.ndarray) -> None:
        _lost(lambda: self._graph.LoadTensor(picture.astype(np.float16), None))

    def get(self) -> np.ndarray:
        return _lost(self._graph.GetResult)[0]

    def times(self) -> np.ndarray:
        return _lost(lambda: self._graph.GetGraphOption(self._api.GraphOption.TIME_TAKEN))

    def temperatures(self) -> Any:
        return self._device.GetDeviceOption(self._api.DeviceOption.THERMAL_STATS)

    def shape(self) -> tuple[int, ...]:
        return ()  # a graph of version 1 does not tell

    def close(self) -> None:
        _quietly(self._graph.DeallocateGraph)
        _quietly(self._device.CloseDevice)


def sticks() -> list[str]:
    """MVNC.<number> of every stick here."""
    api = _mvnc()
    handles = api.enumerate_devices() if hasattr(api, "enumerate_devices") else api.EnumerateDevices()
    return ["MVNC.%d" % number for number in range(len(handles))]


def _mvnc() -> Any:
    try:
        from mvnc import mvncapi
    except ImportError as error:
        raise NoDeviceError(f"No devices found: Intel's NCSDK is not installed here ({error})") from error
    return mvncapi


def _none(number: int, there: int) -> str:
    if not there:
        return "No devices found"
    return "No devices found under number %d: there are %d, counted from 0" % (number, there)


def _lost(step: Callable[[], Any]) -> Any:
    """Do `step`; the NCSDK raises a bare Exception that carries a status, whatever happened."""
    try:
        return step()
    except Exception as error:
        raise DeviceLostError("the stick: %s" % (error or type(error).__name__)) from error


def _quietly(step: Callable[[], Any]) -> None:
    """Give back what a stick that is gone can no longer take."""
    with contextlib.suppress(Exception):
        step()
