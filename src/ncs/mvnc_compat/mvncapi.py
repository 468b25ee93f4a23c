"""mvncapi v2: devices and graphs over ncs.runtime, with the names and numbers of the NCSDK."""

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
from ncs.runtime import default_device, open_runner, sticks

__all__ = [
    "Device",
    "DeviceHwVersion",
    "DeviceOption",
    "DeviceState",
    "Fifo",
    "FifoDataType",
    "FifoOption",
    "FifoState",
    "FifoType",
    "GlobalOption",
    "Graph",
    "GraphOption",
    "GraphState",
    "LogLevel",
    "Status",
    "TensorDescriptor",
    "enumerate_devices",
    "global_get_option",
    "global_set_option",
]
_API_VERSION = [2, 10, 1, 1]
_options = {GlobalOption.RW_LOG_LEVEL: LogLevel.WARN.value}


def enumerate_devices() -> list[str]:
    """Handles of the devices: NCS_DEVICE's, or one a stick, or the CPU's.

    A stick that only the real mvnc module could run is not one: this module stands in its place.
    """
    named = os.environ.get("NCS_DEVICE")
    if named:
        return [named]
    try:
        device, _ = default_device()
    except CaffeError:
        return []
    if device == "MVNC":
        return []
    return sticks(device) or [device]


def global_get_option(option: GlobalOption) -> Any:
    """The log level, or the version whose surface this is."""
    option = GlobalOption(option)
    return _API_VERSION if option == GlobalOption.RO_API_VERSION else _options[option]


def global_set_option(option: GlobalOption, value: Any) -> None:
    """Set the log level (kept, and of no effect)."""
    if GlobalOption(option) != GlobalOption.RW_LOG_LEVEL:
        raise MvncError(Status.UNAUTHORIZED, f"{option} is read-only")
    _options[GlobalOption.RW_LOG_LEVEL] = value


class Device:
    """A device by one of the handles of `enumerate_devices`."""

    def __init__(self, handle: str) -> None:
        if not isinstance(handle, str):
            raise MvncError(Status.INVALID_HANDLE, "a handle comes from enumerate_devices")
        self.handle = handle
        self.state = DeviceState.CREATED
        self.graphs: list[Graph] = []

    def open(self) -> None:
        self.state = DeviceState.OPENED

    def close(self) -> None:
        """Close the device and what runs on it."""
        for graph in list(self.graphs):
            graph.destroy()
        self.state = DeviceState.CLOSED

    def destroy(self) -> None:
        if self.state == DeviceState.OPENED:
            self.close()

    def check_open(self) -> None:
        if self.state != DeviceState.OPENED:
            raise MvncError(Status.INVALID_HANDLE, "the device is not open")

    def get_option(self, option: DeviceOption) -> Any:
        """What is known of the device; what a CPU cannot tell is UNSUPPORTED_FEATURE, never made up."""
        option = DeviceOption(option)
        if option == DeviceOption.RO_THERMAL_STATS:
            if not self.graphs:
                return self._unknown(option)
            return np.array([self.graphs[0].temperature()], np.float32)
        values = {
            DeviceOption.RO_DEVICE_STATE: self.state,
            DeviceOption.RO_DEVICE_NAME: self.handle,
            DeviceOption.RO_ALLOCATED_GRAPH_NUM: len(self.graphs),
            DeviceOption.RO_CLASS_LIMIT: 0,
        }
        return values[option] if option in values else self._unknown(option)

    def set_option(self, option: DeviceOption, value: Any) -> None:
        raise MvncError(Status.UNAUTHORIZED, f"{DeviceOption(option)} is read-only")

    def _unknown(self, option: DeviceOption) -> Any:
        raise MvncError(Status.UNSUPPORTED_FEATURE, f"{option} of {self.handle} is not known")


class Graph:
    """A model on a device. Inferences queued are done one after the other by a thread of its own."""

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
        self._runner = _runner(device.handle, bytes(graph_buffer))
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
        """`allocate`, and a fifo for each side."""
        self.allocate(device, graph_buffer)
        fifos = Fifo("input", input_fifo_type), Fifo("output", output_fifo_type)
        descriptors = self._descriptors(input_fifo_data_type, output_fifo_data_type)
        counts = (input_fifo_num_elem, output_fifo_num_elem)
        for fifo, descriptor, count in zip(fifos, descriptors, counts):
            fifo.set_option(FifoOption.RW_DATA_TYPE, descriptor.dataType)
            fifo.allocate(device, descriptor, count)
        return fifos

    def queue_inference(self, input_fifo: Fifo, output_fifo: Fifo) -> None:
        """Have the oldest tensor of one fifo answered into the other."""
        self._check()
        self._work.put((input_fifo, output_fifo))

    def queue_inference_with_fifo_elem(
        self, input_fifo: Fifo, output_fifo: Fifo, input_tensor: np.ndarray, user_obj: Any = None
    ) -> None:
        """Write a tensor (height x width x channels) and queue its inference."""
        self._check()
        self._picture(input_tensor)  # a wrong size is told here, where the caller is
        input_fifo.write_elem(input_tensor, user_obj)
        self.queue_inference(input_fifo, output_fifo)

    def get_option(self, option: GraphOption) -> Any:
        """Times are wall-clock milliseconds of the last inference: one value, for the whole net."""
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
        raise MvncError(Status.UNSUPPORTED_FEATURE, f"{option} is not known")

    def set_option(self, option: GraphOption, value: Any) -> None:
        if GraphOption(option) != GraphOption.RW_EXECUTORS_NUM:
            raise MvncError(Status.UNAUTHORIZED, f"{option} is read-only")

    def destroy(self) -> None:
        """End the thread after what is queued, and give the device back."""
        if self._device is None:
            return
        self._device.graphs.remove(self)
        self._device = None
        self._work.put(None)

    def temperature(self) -> float:
        value = self._runner.temperature()
        if value is None:
            raise MvncError(Status.UNSUPPORTED_FEATURE, "this device tells no temperature")
        return value

    def _serve(self) -> None:
        while True:
            item = self._work.get()
            if item is None:
                self._runner.close()
                return
            try:
                self._answer(*item)
            except MvncError:  # a fifo was destroyed meanwhile: nobody waits for this answer
                continue

    def _answer(self, input_fifo: Fifo, output_fifo: Fifo) -> None:
        tensor, user_obj = input_fifo.take()
        begun = time.perf_counter()
        try:
            result: Any = self._runner.run(self._picture(tensor))[0]
        except CaffeError as error:
            result = MvncError(Status.MYRIAD_ERROR, str(error))
        except MvncError as error:
            result = error
        self._times = np.array([(time.perf_counter() - begun) * 1e3], np.float32)
        output_fifo.put(result, user_obj)

    def _picture(self, tensor: np.ndarray) -> np.ndarray:
        """height x width x channels of the host -> 1 x C x H x W."""
        _, channels, height, width = self._runner.input_shape
        if np.size(tensor) != channels * height * width:
            raise MvncError(
                Status.INVALID_DATA_LENGTH,
                "the graph takes %dx%dx%d (height, width, channels), "
                "received %s" % (height, width, channels, np.shape(tensor)),
            )
        picture = np.asarray(tensor, np.float32).reshape(height, width, channels)
        return np.ascontiguousarray(picture.transpose(2, 0, 1))[None]

    def _descriptors(self, data_in: FifoDataType, data_out: FifoDataType) -> tuple[Any, Any]:
        _, channels, height, width = self._runner.input_shape
        return (
            TensorDescriptor(1, channels, height, width, FifoDataType(data_in)),
            TensorDescriptor(1, self._values, 1, 1, FifoDataType(data_out)),
        )

    def _check(self) -> None:
        if self._device is None:
            raise MvncError(Status.NOT_ALLOCATED, f"graph '{self.name}' is not allocated")


def _runner(device: str, content: bytes) -> Any:
    suffix = _suffix(content)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as folder:
        path = os.path.join(folder, "graph" + suffix)
        with open(path, "wb") as stream:
            stream.write(content)
        try:
            return open_runner(device, path)
        except NoDeviceError as error:
            raise MvncError(Status.DEVICE_NOT_FOUND, str(error)) from error
        except CaffeError as error:
            raise MvncError(Status.UNSUPPORTED_GRAPH_FILE, str(error)) from error


def _suffix(content: bytes) -> str:
    if content[:4] == b"\x7felf" or content[:5] == b"<?xml":
        return ".blob"
    if content[:1] == b"\x08":  # the first field of a ModelProto, its IR version
        return ".onnx"
    raise MvncError(
        Status.UNSUPPORTED_GRAPH_FILE,
        "wanted is a Myriad blob or an ONNX model (`ncs compile` "
        "makes both); a graph of mvNCCompile needs Intel's own mvnc module",
    )
