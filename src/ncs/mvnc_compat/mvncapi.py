"""mvncapi v2: devices and graphs on top of `ncs.runtime`, with the names and values of the NCSDK; v1 as well.

The functions and methods of v1 (see `version1`) have other names, so one module serves scripts of both versions.
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
import time
from typing import Any

import numpy as np

from caffe.errors import CaffeError
from ncs.errors import NoDeviceError
from ncs.mvnc_compat import layout
from ncs.mvnc_compat.fifo import Fifo, TensorDescriptor
from ncs.mvnc_compat.options import (
    DeviceHwVersion,
    DeviceOption,
    DeviceState,
    FifoDataType,
    FifoOption,
    FifoState,
    FifoType,
    GlobalOption,
    GraphOption,
    GraphState,
    LogLevel,
    MvncError,
    Status,
)
from ncs.mvnc_compat.version1 import Device1, EnumerateDevices, GetGlobalOption, SetGlobalOption
from ncs.runtime import default_device, open_runner, sticks

__all__ = [
    "Device",
    "DeviceHwVersion",
    "DeviceOption",
    "DeviceState",
    "EnumerateDevices",
    "Fifo",
    "FifoDataType",
    "FifoOption",
    "FifoState",
    "FifoType",
    "GetGlobalOption",
    "GlobalOption",
    "Graph",
    "GraphOption",
    "GraphState",
    "LogLevel",
    "SetGlobalOption",
    "Status",
    "TensorDescriptor",
    "enumerate_devices",
    "global_get_option",
    "global_set_option",
]
_API_VERSION = [2, 10, 1, 1]
_options = {GlobalOption.RW_LOG_LEVEL: LogLevel.WARN.value}


def enumerate_devices() -> list[str]:
    """Return device handles: those of NCS_DEVICE (`CPU,CPU` for two), else one per stick, else the CPU.

    Does not return sticks that need the real mvnc module, which this module replaces.
    """
    selected = os.environ.get("NCS_DEVICE")
    if selected:
        return [selected] if ":" in selected else _numbered(selected.split(","))
    try:
        device, _ = default_device()
    except CaffeError:
        return []
    if device == "MVNC":
        return []
    return sticks(device) or [device]


def _numbered(names: list[str]) -> list[str]:
    """Return unique handles: CPU#0 and CPU#1 for a device that is named twice."""
    names = [name.strip() for name in names if name.strip()]
    counts = {name: 0 for name in names}
    handles = []
    for name in names:
        handles.append(f"{name}#{counts[name]}" if names.count(name) > 1 else name)
        counts[name] += 1
    return handles


def global_get_option(option: GlobalOption) -> Any:
    """Return the log level or the API version."""
    option = GlobalOption(option)
    return _API_VERSION if option == GlobalOption.RO_API_VERSION else _options[option]


def global_set_option(option: GlobalOption, value: Any) -> None:
    """Set the log level (stored without effect)."""
    if GlobalOption(option) != GlobalOption.RW_LOG_LEVEL:
        raise MvncError(Status.UNAUTHORIZED, f"{option} is read-only")
    _options[GlobalOption.RW_LOG_LEVEL] = value


class Device(Device1):
    """A device, identified by a handle of `enumerate_devices`."""

    def __init__(self, handle: str) -> None:
        if not isinstance(handle, str):
            raise MvncError(Status.INVALID_HANDLE, f"expected a handle from enumerate_devices, received {handle!r}")
        self.handle = handle
        self.state = DeviceState.CREATED
        self.graphs: list[Graph] = []
        self._options1 = {}

    def open(self) -> None:
        """Open the device."""
        self.state = DeviceState.OPENED

    def close(self) -> None:
        """Close the device and destroy its graphs."""
        for graph in list(self.graphs):
            graph.destroy()
        self.state = DeviceState.CLOSED

    def destroy(self) -> None:
        """Close the device if it is open."""
        if self.state == DeviceState.OPENED:
            self.close()

    def check_open(self) -> None:
        """Raise MvncError if the device is not open."""
        if self.state != DeviceState.OPENED:
            raise MvncError(Status.INVALID_HANDLE, "the device is not open")

    def get_option(self, option: DeviceOption) -> Any:
        """Return an option of the device; raises UNSUPPORTED_FEATURE for values the device does not report."""
        option = DeviceOption(option)
        if option == DeviceOption.RO_THERMAL_STATS:
            if not self.graphs:
                return self._unsupported(option)
            return np.array([self.graphs[0].temperature()], np.float32)
        values = {
            DeviceOption.RO_DEVICE_STATE: self.state,
            DeviceOption.RO_DEVICE_NAME: self.handle,
            DeviceOption.RO_ALLOCATED_GRAPH_NUM: len(self.graphs),
            DeviceOption.RO_CLASS_LIMIT: 0,
            DeviceOption.RO_THERMAL_THROTTLING_LEVEL: 0,  # no limit reached: the runners report no throttling
        }
        return values[option] if option in values else self._unsupported(option)

    def set_option(self, option: DeviceOption, value: Any) -> None:
        """Raise MvncError: all options are read-only."""
        raise MvncError(Status.UNAUTHORIZED, f"{DeviceOption(option)} is read-only")

    def _unsupported(self, option: DeviceOption) -> Any:
        raise MvncError(Status.UNSUPPORTED_FEATURE, f"{self.handle} does not report {option}")


class Graph:
    """A model on a device; a thread runs the queued inferences one after another."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._device: Device | None = None
        self._runner: Any = None
        self._times = np.zeros(0, np.float32)
        self._values = 0
        self._work: queue.Queue[Any] = queue.Queue()
        self._thread: threading.Thread | None = None

    def allocate(self, device: Device, graph_buffer: bytes) -> None:
        """Load a Myriad blob or an ONNX model."""
        device.check_open()
        self._runner = _open_runner(device.handle, bytes(graph_buffer))
        zeros = np.zeros((1, *self._runner.input_shape[1:]), np.float32)
        self._values = self._runner.run(zeros).shape[1]  # also the warm-up
        self._device = device
        device.graphs.append(self)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def allocate_with_fifos(
        self,
        device: Device,
        graph_buffer: bytes,
        input_fifo_type: FifoType = FifoType.HOST_WO,
        input_fifo_num_elem: int = 2,
        input_fifo_data_type: FifoDataType = FifoDataType.FP32,
        output_fifo_type: FifoType = FifoType.HOST_RO,
        output_fifo_num_elem: int = 2,
        output_fifo_data_type: FifoDataType = FifoDataType.FP32,
    ) -> tuple[Fifo, Fifo]:
        """Allocate the graph, and an input and an output fifo."""
        self.allocate(device, graph_buffer)
        fifos = Fifo("input", input_fifo_type), Fifo("output", output_fifo_type)
        descriptors = self._descriptors(input_fifo_data_type, output_fifo_data_type)
        counts = (input_fifo_num_elem, output_fifo_num_elem)
        for fifo, descriptor, count in zip(fifos, descriptors, counts):
            fifo.set_option(FifoOption.RW_DATA_TYPE, descriptor.dataType)
            fifo.allocate(device, descriptor, count)
        return fifos

    def queue_inference(self, input_fifo: Fifo, output_fifo: Fifo) -> None:
        """Queue the inference of the oldest tensor of the input fifo into the output fifo."""
        self._check()
        self._work.put((input_fifo, output_fifo))

    def queue_inference_with_fifo_elem(
        self, input_fifo: Fifo, output_fifo: Fifo, input_tensor: np.ndarray, user_obj: Any = None
    ) -> None:
        """Write a tensor (H, W, C) and queue its inference."""
        self._check()
        self._to_nchw(input_tensor, input_fifo)  # raise errors about the size in the caller's thread
        input_fifo.write_elem(input_tensor, user_obj)
        self.queue_inference(input_fifo, output_fifo)

    def get_option(self, option: GraphOption) -> Any:
        """Return an option; RO_TIME_TAKEN is the time of the last inference of the whole net in milliseconds."""
        option = GraphOption(option)
        values = {
            GraphOption.RO_TIME_TAKEN: self._times,
            GraphOption.RO_TIME_TAKEN_ARRAY_SIZE: self._times.nbytes,
            GraphOption.RO_GRAPH_NAME: self.name,
            GraphOption.RO_GRAPH_VERSION: [2, 0],
            GraphOption.RO_INPUT_COUNT: 1,
            GraphOption.RO_OUTPUT_COUNT: 1,
            GraphOption.RW_EXECUTORS_NUM: 1,
            GraphOption.RO_CLASS_LIMIT: 0,
            GraphOption.RO_GRAPH_STATE: GraphState.ALLOCATED if self._runner else GraphState.CREATED,
        }
        if option in values:
            return values[option]
        self._check()
        descriptors = self._descriptors(FifoDataType.FP16, FifoDataType.FP16)
        if option in (GraphOption.RO_INPUT_TENSOR_DESCRIPTORS, GraphOption.RO_OUTPUT_TENSOR_DESCRIPTORS):
            return [descriptors[option == GraphOption.RO_OUTPUT_TENSOR_DESCRIPTORS]]
        raise MvncError(Status.UNSUPPORTED_FEATURE, f"{option} is not supported")

    def set_option(self, option: GraphOption, value: Any) -> None:
        """Accept RW_EXECUTORS_NUM without effect; all other options are read-only."""
        if GraphOption(option) != GraphOption.RW_EXECUTORS_NUM:
            raise MvncError(Status.UNAUTHORIZED, f"{option} is read-only")

    def destroy(self) -> None:
        """Release the device after the queued inferences are done."""
        if self._device is None:
            return
        self._device.graphs.remove(self)
        self._device = None
        self._work.put(None)

    def temperature(self) -> float:
        """Return the temperature of the device in degrees Celsius."""
        value = self._runner.temperature()
        if value is None:
            raise MvncError(Status.UNSUPPORTED_FEATURE, "this device does not report its temperature")
        return value

    def _serve(self) -> None:
        while True:
            item = self._work.get()
            if item is None:
                self._runner.close()
                return
            try:
                self._infer(*item)
            except MvncError:  # a fifo was destroyed in the meantime: nothing reads this result
                continue

    def _infer(self, input_fifo: Fifo, output_fifo: Fifo) -> None:
        tensor, user_obj = input_fifo.take(wait=True)
        start = time.perf_counter()
        try:
            result: Any = self._to_host(self._runner.run(self._to_nchw(tensor, input_fifo))[0], output_fifo)
        except CaffeError as error:
            result = MvncError(Status.MYRIAD_ERROR, str(error))
        except MvncError as error:
            result = error
        self._times = np.array([(time.perf_counter() - start) * 1e3], np.float32)
        output_fifo.put(result, user_obj, wait=True)

    def _to_nchw(self, tensor: np.ndarray, fifo: Fifo) -> np.ndarray:
        """Convert the host's tensor, (H, W, C) unless the fifo has a descriptor of the host's, to (1, C, H, W)."""
        shape = self._runner.input_shape[1:]
        if np.size(tensor) != np.prod(shape):
            channels, height, width = shape
            raise MvncError(
                Status.INVALID_DATA_LENGTH,
                f"expected a tensor of {height}x{width}x{channels} (H, W, C), received {np.shape(tensor)}",
            )
        return layout.from_host(np.asarray(tensor, np.float32), shape, fifo.host_descriptor)[None]

    def _to_host(self, values: np.ndarray, fifo: Fifo) -> np.ndarray:
        """Convert the runner's flat (C, H, W) output to NCSDK's layout, channels innermost, or the fifo's own."""
        return layout.to_host(values, self._output_shape(), fifo.host_descriptor)

    def _output_shape(self) -> tuple[int, int, int]:
        """Return (C, H, W) of the output; a vector has its values as channels."""
        shape = tuple(self._runner.output_shape[1:])
        return shape if len(shape) == 3 and np.prod(shape) == self._values else (self._values, 1, 1)

    def _descriptors(self, data_in: FifoDataType, data_out: FifoDataType) -> tuple[Any, Any]:
        _, *image = self._runner.input_shape
        shapes = (1, *image, FifoDataType(data_in)), (1, *self._output_shape(), FifoDataType(data_out))
        return TensorDescriptor(*shapes[0]), TensorDescriptor(*shapes[1])

    def _check(self) -> None:
        if self._device is None:
            raise MvncError(Status.NOT_ALLOCATED, f"graph '{self.name}' is not allocated")


def _open_runner(device: str, content: bytes) -> Any:
    suffix = _suffix(content)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as folder:
        path = os.path.join(folder, "graph" + suffix)
        with open(path, "wb") as stream:
            stream.write(content)
        try:
            runner = open_runner(device.partition("#")[0], path)
        except NoDeviceError as error:
            raise MvncError(Status.DEVICE_NOT_FOUND, str(error)) from error
        except CaffeError as error:
            hint = "; NCS_DEVICE=SIMULATOR executes it on this machine" if suffix == ".blob" else ""
            raise MvncError(Status.UNSUPPORTED_GRAPH_FILE, str(error) + hint) from error
    if runner.other_outputs:
        runner.close()
        others = ", ".join(runner.other_outputs)
        raise MvncError(
            Status.UNSUPPORTED_GRAPH_FILE, f"a graph has one output, this file also has {others}; compile it with -on"
        )
    return runner


def _suffix(content: bytes) -> str:
    if content[:4] == b"\x7felf" or content[:5] == b"<?xml":
        return ".blob"
    if content[:1] == b"\x08":  # the first field of a ModelProto, its IR version
        return ".onnx"
    raise MvncError(
        Status.UNSUPPORTED_GRAPH_FILE,
        "expected a Myriad blob or an ONNX model (`ncs compile` writes both); mvNCCompile's graphs need Intel's module",
    )
