"""API v1 of mvncapi: EnumerateDevices, OpenDevice, AllocateGraph, LoadTensor and GetResult, on top of v2.

Reference: https://movidius.github.io/ncsdk/ncapi/ncapi1/py_api/readme.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ncs.mvnc_compat.options import (
    DeviceOption,
    FifoDataType,
    FifoOption,
    GlobalOption,
    GraphOption,
    MvncError,
    Status,
)

# Options of v1 that only v1 has, and their values before a script sets them.
_DEVICE_DEFAULTS = {
    DeviceOption.TEMP_LIM_LOWER: 75.0,
    DeviceOption.TEMP_LIM_HIGHER: 85.0,
    DeviceOption.BACKOFF_TIME_NORMAL: 0,
    DeviceOption.BACKOFF_TIME_HIGH: 100,
    DeviceOption.BACKOFF_TIME_CRITICAL: 10000,
    DeviceOption.TEMPERATURE_DEBUG: 0,
    DeviceOption.OPTIMISATION_LIST: [],  # of the compiler's optimizations, which a blob already contains
}
_DEVICE_OF_V2 = {
    DeviceOption.THERMAL_STATS: DeviceOption.RO_THERMAL_STATS,
    DeviceOption.THERMAL_THROTTLING_LEVEL: DeviceOption.RO_THERMAL_THROTTLING_LEVEL,
}
_READ_ONLY = (*_DEVICE_OF_V2, DeviceOption.OPTIMISATION_LIST, GraphOption.TIME_TAKEN, GraphOption.DEBUG_INFO)


class Device1:
    """The methods of v1's Device; the class of v2 inherits them."""

    _options1: dict[DeviceOption, Any]

    def OpenDevice(self) -> None:
        """Open the device."""
        self.open()  # type: ignore[attr-defined]

    def CloseDevice(self) -> None:
        """Close the device and deallocate its graphs."""
        self.close()  # type: ignore[attr-defined]

    def AllocateGraph(self, graphfile: bytes) -> Graph1:
        """Load a Myriad blob or an ONNX model."""
        return Graph1(self, graphfile)

    def GetDeviceOption(self, opt: DeviceOption) -> Any:
        """Return the value of an option of v1."""
        option = DeviceOption(opt)
        if option in _DEVICE_OF_V2:
            return self.get_option(_DEVICE_OF_V2[option])  # type: ignore[attr-defined]
        return {**_DEVICE_DEFAULTS, **self._options1}[_of_version1(option, _DEVICE_DEFAULTS)]

    def SetDeviceOption(self, opt: DeviceOption, data: Any) -> None:
        """Set an option of v1; it is stored without effect, because the runtime of the device controls its heat."""
        option = DeviceOption(opt)
        if option in _READ_ONLY:
            raise MvncError(Status.INVALID_PARAMETERS, f"{option} is read-only")
        self._options1[_of_version1(option, _DEVICE_DEFAULTS)] = data


class Graph1:
    """v1's Graph: a v2 graph with its two fifos. Results are half precision, channels innermost."""

    def __init__(self, device: Any, graphfile: bytes) -> None:
        from ncs.mvnc_compat.mvncapi import Graph

        self._graph = Graph("graph")
        self._input, self._output = self._graph.allocate_with_fifos(
            device, graphfile, output_fifo_data_type=FifoDataType.FP16
        )
        self._options: dict[GraphOption, Any] = {GraphOption.ITERATIONS: 1, GraphOption.NETWORK_THROTTLE: 1}
        self._options[GraphOption.DONT_BLOCK] = 0

    def LoadTensor(self, tensor: np.ndarray, userobj: Any) -> bool:
        """Start an inference of a tensor (H, W, C); False if DONT_BLOCK is set and the device is busy."""
        return _unless(Status.BUSY, lambda: self._load(tensor, userobj), False)

    def _load(self, tensor: np.ndarray, userobj: Any) -> bool:
        if np.asarray(tensor).dtype != np.float16:
            raise MvncError(
                Status.INVALID_PARAMETERS, f"LoadTensor: expected float16, received {np.asarray(tensor).dtype}"
            )
        self._graph.queue_inference_with_fifo_elem(self._input, self._output, tensor, userobj)
        return True

    def GetResult(self) -> tuple[np.ndarray | None, Any]:
        """Return (result, user object) of the oldest inference; (None, None) if DONT_BLOCK is set and none is done."""
        return _unless(Status.BUSY, self._output.read_elem, (None, None))

    def GetGraphOption(self, opt: GraphOption) -> Any:
        """Return the value of an option of v1; TIME_TAKEN is the time of the whole net in milliseconds."""
        option = GraphOption(opt)
        if option == GraphOption.TIME_TAKEN:
            return self._graph.get_option(GraphOption.RO_TIME_TAKEN)
        return "" if option == GraphOption.DEBUG_INFO else self._options[_of_version1(option, self._options)]

    def SetGraphOption(self, opt: GraphOption, data: Any) -> None:
        """Set an option of v1; only DONT_BLOCK has an effect."""
        option = GraphOption(opt)
        if option in _READ_ONLY:
            raise MvncError(Status.INVALID_PARAMETERS, f"{option} is read-only")
        self._options[_of_version1(option, self._options)] = data
        if option == GraphOption.DONT_BLOCK:
            for fifo in (self._input, self._output):
                fifo.set_option(FifoOption.RW_DONT_BLOCK, data)

    def DeallocateGraph(self) -> None:
        """Release the graph."""
        for part in (self._input, self._output, self._graph):
            part.destroy()


def _of_version1(option: Any, known: Any) -> Any:
    if option not in known:
        raise MvncError(Status.INVALID_PARAMETERS, f"{option} is not an option of API v1")
    return option


def _unless(status: Status, call: Any, otherwise: Any) -> Any:
    """Return what `call` returns, or `otherwise` if it raises MvncError of this status."""
    try:
        return call()
    except MvncError as error:
        if error.args[0] != status:
            raise
        return otherwise


def EnumerateDevices() -> list[str]:
    """Return the handles of `enumerate_devices`."""
    from ncs.mvnc_compat.mvncapi import enumerate_devices

    return enumerate_devices()


_global = {GlobalOption.LOG_LEVEL: 0}


def SetGlobalOption(opt: GlobalOption, data: Any) -> None:
    """Set the log level (stored without effect)."""
    _global[_of_version1(GlobalOption(opt), _global)] = data


def GetGlobalOption(opt: GlobalOption) -> Any:
    """Return the log level."""
    return _global[_of_version1(GlobalOption(opt), _global)]
