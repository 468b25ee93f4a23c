"""OAK cameras (Luxonis, RVC2: the chip of Neural Compute Stick 2) through depthai 3 or 2; images come from the host."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any, Callable, Iterator, Sequence  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runtime import base

IN_FLIGHT = 2  # a camera runs two inferences concurrently
_QUEUE = 4  # messages
_DTYPES = {"U8": np.uint8, "FP16": np.float16}


class Oak(base.Runner):
    """Runs a blob of `ncs compile --target oak` on a camera.

    Parameters
    ----------
    source : Manifest or path
        A manifest that refers to a blob, or a blob.
    device : str
        OAK for the first camera, OAK.<id or IP address> for another.
    session : Session, optional
        A pipeline that has other networks or the camera's images; the caller starts and closes it.
    api : module, optional
        depthai.
    """

    in_flight = IN_FLIGHT

    def __init__(self, source: Any, device: str = "OAK", session: Any = None, api: Any = None) -> None:
        from ncs.myriad.blob import read_blob

        model = base.Model.of(source)
        path = model.pick(("blob",))
        blob = read_blob(path)
        _check_types(path, blob)
        self.device = device
        shapes = {port.name: _caffe_shape(port) for port in blob.inputs}
        self._input = self.set_inputs(model, shapes)
        self._types = {port.name: _DTYPES[port.dtype] for port in blob.inputs}
        self._outputs = self.set_outputs(model, [port.name for port in blob.outputs])
        outputs = {port.name: port.dims for port in blob.outputs}
        if len(self._outputs) == 1:
            self.output_shape = tuple(outputs[self._outputs[0]])
        self._session = session or open_session(device, api)
        self._owns_session = session is None
        self._network = self._session.add_network(path, self._outputs, sum(map(np.prod, shapes.values())))
        if self._owns_session:
            _call(self._session.start)
        self._submitted = self._read = 0
        self._results: dict[int, list[np.ndarray]] = {}

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        feeds = {name: _as(array, self._types[name]) for name, array in self.feeds(batch, self._input).items()}
        _call(lambda: self._network.put(feeds))
        ticket = self._submitted
        self._submitted += 1

        def wait() -> np.ndarray:
            while ticket not in self._results:  # the camera returns results in the order of the requests
                self._results[self._read] = _call(self._network.get)
                self._read += 1
            return base.rows(self._results.pop(ticket), len(batch))

        return wait

    def temperature(self) -> float | None:
        """Return the average temperature of the chip in degrees Celsius, or None if it is unknown."""
        try:
            return float(self._session.camera_device.getChipTemperature().average)
        except Exception:  # depthai raises RuntimeError and others
            return None

    def close(self) -> None:
        """Release the camera."""
        if self._session is not None and self._owns_session:
            self._session.close()
        self._session = None


def sticks() -> list[str]:
    """Return OAK.<id> for every camera with a Myriad X that is plugged in or in the network."""
    return [f"OAK.{_identifier(info)}" for info in _cameras(_depthai())]


def open_session(device: str = "OAK", api: Any = None) -> Session:
    """Return a Session on the camera called `device`. Raises NoDeviceError if it does not respond."""
    api = api or _depthai()
    cameras = _cameras(api)
    name = device.partition(".")[2]
    chosen = [info for info in cameras if name in ("", _identifier(info), info.name)]
    if not chosen:
        found = ", ".join(_identifier(info) for info in cameras) or "none"
        wanted = f"with the id or address {name} " if name else ""
        raise NoDeviceError(f"No devices found: no OAK camera {wanted}responds; found: {found}")
    session_class = _Session3 if hasattr(api.NNData, "addTensor") else _Session2
    return _call(lambda: session_class(api, chosen[0]))


def _cameras(api: Any) -> list[Any]:
    return [info for info in api.Device.getAllAvailableDevices() if "RVC4" not in str(info.platform)]


def _identifier(info: Any) -> str:
    return info.deviceId if hasattr(info, "deviceId") else info.mxid


class Session:
    """A pipeline on one camera: networks that receive images from the host, and the images of the colour camera.

    Add networks and the camera, then `start`. The two subclasses are for depthai 3 and 2.
    """

    camera_device: Any = None

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


class _Session3(Session):
    """depthai 3: queues belong to nodes, and tensors have a type."""

    def __init__(self, api: Any, info: Any) -> None:
        self._api = api
        self.camera_device = api.Device(info)
        self._pipeline = api.Pipeline(self.camera_device)

    def add_network(self, path: str, outputs: Sequence[str], size: int) -> Any:
        node = self._pipeline.create(self._api.node.NeuralNetwork)
        node.setBlobPath(path)
        queues = node.input.createInputQueue(_QUEUE, True), node.out.createOutputQueue(_QUEUE, True)
        return _Network3(self._api, *queues, outputs)

    def add_camera(self, size: tuple[int, int]) -> Callable[[], np.ndarray]:
        camera = self._pipeline.create(self._api.node.Camera).build(self._api.CameraBoardSocket.CAM_A)
        frames = camera.requestOutput(size, self._api.ImgFrame.Type.BGR888i).createOutputQueue(2, False)
        return lambda: _call(lambda: frames.get().getCvFrame())

    def start(self) -> None:
        self._pipeline.start()

    def close(self) -> None:
        for release in (self._pipeline.stop, self.camera_device.close):
            with contextlib.suppress(Exception):  # a camera that was unplugged
                release()


class _Network3:
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


class _Session2(Session):
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
        return _Network2(self, number, outputs)

    def add_camera(self, size: tuple[int, int]) -> Callable[[], np.ndarray]:
        camera = self._pipeline.create(self._api.node.ColorCamera)
        camera.setPreviewSize(*size)
        camera.setInterleaved(False)
        camera.setColorOrder(self._api.ColorCameraProperties.ColorOrder.BGR)
        self._link(camera.preview, "camera")
        return lambda: _call(lambda: self.output("camera", 2, False).get().getCvFrame())

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


class _Network2:
    def __init__(self, session: _Session2, number: int, outputs: Sequence[str]) -> None:
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


def _check_types(path: str, blob: Any) -> None:
    inputs = [f"{port.name} {port.dtype}" for port in blob.inputs if port.dtype not in _DTYPES]
    outputs = [f"{port.name} {port.dtype}" for port in blob.outputs if port.dtype != "FP16"]
    if inputs or outputs:
        raise NcsError(
            f"{path}: a camera takes U8 or FP16 and returns FP16, the blob has {', '.join(inputs + outputs)}; compile "
            "it with --target oak"
        )


def _caffe_shape(port: Any) -> tuple[int, ...]:
    """Return the shape of a port in the order NCHW or NC."""
    axes = dict(zip(port.order, port.dims))
    return tuple(axes[letter] for letter in "NDCHW" if letter in axes)


def _as(array: np.ndarray, dtype: Any) -> np.ndarray:
    """Convert to the type of a port; bytes are rounded and limited to 0 to 255."""
    if dtype == np.uint8:
        array = np.clip(np.rint(array), 0, 255)
    return np.ascontiguousarray(array, dtype)


def _call(function: Callable[[], Any]) -> Any:
    """Call depthai; a camera that was unplugged raises various exceptions."""
    try:
        return function()
    except NcsError:
        raise
    except Exception as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise DeviceLostError(f"the OAK camera: {lines[0]}") from error


def _depthai() -> Any:
    try:
        import depthai
    except ImportError as error:
        raise NoDeviceError(
            f"No devices found: depthai is not installed ({error}); run `pip install depthai`"
        ) from error
    return depthai


def frames(camera: Callable[[], np.ndarray], count: int = 0) -> Iterator[np.ndarray]:
    """Yield `count` images of a session's camera; 0 yields them without end."""
    for _ in itertools.repeat(None, count) if count else itertools.repeat(None):
        yield camera()
