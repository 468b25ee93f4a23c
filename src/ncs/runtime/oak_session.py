"""Pipelines on OAK cameras, through depthai 3 or 2."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Sequence  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

from ncs.errors import DeviceLostError, NcsError

_QUEUE = 4  # messages


class Session:
    """A pipeline on one camera: networks that receive images from the host, and the images of the colour camera.

    Add networks and the camera, then `start`. The two subclasses are for depthai 3 and 2.
    """

    camera_device: Any = None
    users = 0  # runners that share it
    _started = False

    def add(self, path: str, outputs: Sequence[str], size: int) -> Any:
        """Add a network; raise DeviceLostError if the pipeline runs already."""
        if self._started:
            raise DeviceLostError("the OAK camera already computes: open all nets before the first inference")
        return self.add_network(path, outputs, size)

    def ensure_started(self) -> None:
        """Start the pipeline if it does not run."""
        if not self._started:
            self.start()
            self._started = True

    def add_network(self, path: str, outputs: Sequence[str], size: int) -> Any:
        """Add the network of a blob; return an object with put({input: array}) and get() -> arrays of `outputs`."""
        raise NotImplementedError

    def add_camera(self, size: tuple[int, int]) -> Callable[[], np.ndarray]:
        """Add the colour camera at (width, height); return a function that waits for an image, uint8 BGR (H, W, 3)."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the pipeline."""

    def close(self) -> None:
        """Stop the pipeline and release the camera."""


class Session3(Session):
    """depthai 3: queues belong to nodes, and tensors have a type."""

    def __init__(self, api: Any, info: Any) -> None:
        self._api = api
        self.camera_device = api.Device(info)
        self._pipeline = api.Pipeline(self.camera_device)

    def add_network(self, path: str, outputs: Sequence[str], size: int) -> Any:
        node = self._pipeline.create(self._api.node.NeuralNetwork)
        node.setBlobPath(path)
        queues = node.input.createInputQueue(_QUEUE, True), node.out.createOutputQueue(_QUEUE, True)
        return Network3(self._api, *queues, outputs)

    def add_camera(self, size: tuple[int, int]) -> Callable[[], np.ndarray]:
        camera = self._pipeline.create(self._api.node.Camera).build(self._api.CameraBoardSocket.CAM_A)
        frames = camera.requestOutput(size, self._api.ImgFrame.Type.BGR888i).createOutputQueue(2, False)
        return lambda: call(lambda: frames.get().getCvFrame())

    def start(self) -> None:
        self._pipeline.start()

    def close(self) -> None:
        for release in (self._pipeline.stop, self.camera_device.close):
            with contextlib.suppress(Exception):  # a camera that was unplugged
                release()


class Network3:
    def __init__(self, api: Any, source: Any, sink: Any, outputs: Sequence[str]) -> None:
        self._api, self._source, self._sink, self._names = api, source, sink, outputs

    def put(self, arrays: dict[str, np.ndarray]) -> None:
        data, types = self._api.NNData(), self._api.TensorInfo.DataType
        for name, array in arrays.items():
            data.addTensor(name, array, types.U8F if array.dtype == np.uint8 else types.FP16)
        self._source.send(data)

    def get(self) -> list[np.ndarray]:
        data = self._sink.get()
        return [np.asarray(data.getTensor(name, True), np.float32) for name in self._names]


class Session2(Session):
    """depthai 2: queues are named streams of the device, which exist when it has started."""

    def __init__(self, api: Any, info: Any) -> None:
        self._api, self._info = api, info
        self._pipeline = api.Pipeline()
        self._count = 0

    def add_network(self, path: str, outputs: Sequence[str], size: int) -> Any:
        number, self._count = self._count, self._count + 1
        node = self._pipeline.create(self._api.node.NeuralNetwork)
        node.setBlobPath(path)
        source = self._pipeline.create(self._api.node.XLinkIn)
        source.setStreamName(f"in{number}")
        source.setMaxDataSize(int(2 * size) + 4096)
        source.out.link(node.input)
        self._link(node.out, f"out{number}")
        return Network2(self, number, outputs)

    def add_camera(self, size: tuple[int, int]) -> Callable[[], np.ndarray]:
        camera = self._pipeline.create(self._api.node.ColorCamera)
        camera.setPreviewSize(*size)
        camera.setInterleaved(False)
        camera.setColorOrder(self._api.ColorCameraProperties.ColorOrder.BGR)
        self._link(camera.preview, "camera")
        return lambda: call(lambda: self.output("camera", 2, False).get().getCvFrame())

    def _link(self, output: Any, stream: str) -> None:
        sink = self._pipeline.create(self._api.node.XLinkOut)
        sink.setStreamName(stream)
        output.link(sink.input)

    def start(self) -> None:
        self.camera_device = self._api.Device(self._pipeline, self._info)

    def message(self) -> Any:
        """Return a new message of tensors."""
        return self._api.NNData()

    def input(self, stream: str) -> Any:
        """Return the queue of a stream to the camera."""
        return self.camera_device.getInputQueue(stream, _QUEUE, True)

    def output(self, stream: str, size: int = _QUEUE, blocking: bool = True) -> Any:
        """Return the queue of a stream from the camera."""
        return self.camera_device.getOutputQueue(stream, size, blocking)

    def close(self) -> None:
        if self.camera_device is not None:
            with contextlib.suppress(Exception):
                self.camera_device.close()


class Network2:
    def __init__(self, session: Session2, number: int, outputs: Sequence[str]) -> None:
        self._session, self._number, self._names = session, number, outputs

    def put(self, arrays: dict[str, np.ndarray]) -> None:
        data = self._session.message()
        for name, array in arrays.items():
            # an array of bytes is a U8 layer, a list of floats an FP16 one
            data.setLayer(name, array.ravel() if array.dtype == np.uint8 else array.ravel().tolist())
        self._session.input(f"in{self._number}").send(data)

    def get(self) -> list[np.ndarray]:
        data = self._session.output(f"out{self._number}").get()
        return [np.array(data.getLayerFp16(name), np.float32) for name in self._names]


def call(function: Callable[[], Any]) -> Any:
    """Call depthai; a camera that was unplugged raises various exceptions."""
    try:
        return function()
    except NcsError:
        raise
    except Exception as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise DeviceLostError(f"the OAK camera: {lines[0]}") from error
