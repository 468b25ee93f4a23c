"""A depthai without cameras, in the two versions of its interface: networks run in our simulator.

`module(3, cameras)` returns an object with the names of depthai 3 that the runner uses; test_oak checks that the real
package has every one of them. A fault is a function that raises at a chosen message.
"""

import collections
import types

import numpy as np

from ncs.simulator import Simulator

INTERFACE = {
    3: {
        "Device": ["getAllAvailableDevices", "getChipTemperature", "close"],
        "Pipeline": ["create", "start", "stop"],
        "node.NeuralNetwork": ["setBlobPath", "input", "out"],
        "node.Camera": ["build", "requestOutput"],
        "Node.Input": ["createInputQueue"],
        "Node.Output": ["createOutputQueue"],
        "InputQueue": ["send"],
        "MessageQueue": ["get"],
        "NNData": ["addTensor", "getTensor"],
        "ImgFrame": ["getCvFrame"],
        "ImgFrame.Type": ["BGR888i"],
        "TensorInfo.DataType": ["U8F", "FP16"],
        "CameraBoardSocket": ["CAM_A"],
        "DeviceInfo": ["deviceId", "name", "platform"],
    },
    2: {
        "Device": ["getAllAvailableDevices", "getChipTemperature", "close", "getInputQueue", "getOutputQueue"],
        "Pipeline": ["create"],
        "node.NeuralNetwork": ["setBlobPath", "input", "out"],
        "node.XLinkIn": ["setStreamName", "setMaxDataSize", "out"],
        "node.XLinkOut": ["setStreamName", "input"],
        "node.ColorCamera": ["setPreviewSize", "setInterleaved", "setColorOrder", "preview"],
        "Node.Output": ["link"],
        "DataInputQueue": ["send"],
        "DataOutputQueue": ["get"],
        "NNData": ["setLayer", "getLayerFp16"],
        "ImgFrame": ["getCvFrame"],
        "ColorCameraProperties.ColorOrder": ["BGR"],
        "DeviceInfo": ["mxid", "name", "platform"],
    },
}


class Camera:
    """The state of one camera: its id, its images, and what it was sent."""

    def __init__(self, name, image=None, fault=None, platform="X_LINK_MYRIAD_X"):
        self.name, self.image, self.platform = name, image, platform
        self.fault = fault or (lambda count: None)
        self.messages, self.opened, self.closed = 0, 0, 0

    def infer(self, path, tensors):
        self.messages += 1
        self.fault(self.messages)
        simulator = Simulator.from_file(path)
        sizes = {port.name: simulator.shape(port) for port in simulator.program.inputs}
        outputs = simulator.run({name: np.asarray(tensors[name]).reshape(shape) for name, shape in sizes.items()})
        return {name: values.astype(np.float16) for name, values in outputs.items()}


def module(version, cameras):
    """Return the fake package with these Cameras."""
    return {3: _version3, 2: _version2}[version](cameras)


def _info(camera, version):
    names = {"deviceId": camera.name} if version == 3 else {"mxid": camera.name}
    return types.SimpleNamespace(name=f"usb-{camera.name}", platform=camera.platform, camera=camera, **names)


class _Device:
    def __init__(self, camera):
        self.camera = camera
        camera.opened += 1

    def getChipTemperature(self):
        return types.SimpleNamespace(average=51.5)

    def close(self):
        self.camera.closed += 1


def _device_class(cameras, version, base=_Device):
    class Device(base):
        @staticmethod
        def getAllAvailableDevices():
            return [_info(camera, version) for camera in cameras]

    return Device


class _Frame:
    def __init__(self, image):
        self._image = image

    def getCvFrame(self):
        return self._image.copy()


def _version3(cameras):  # noqa: C901 - a package in one function
    types_ = types.SimpleNamespace(U8F="U8F", FP16="FP16")

    class NNData:
        def __init__(self):
            self.tensors = {}

        def addTensor(self, name, array, dtype):
            assert isinstance(array, np.ndarray) and array.dtype == {"U8F": np.uint8, "FP16": np.float16}[dtype]
            self.tensors[name] = array

        def getTensor(self, name, dequantize=False):
            return self.tensors[name].astype(np.float32)

    class NeuralNetwork:
        def __init__(self, pipeline):
            self._pipeline, self._done = pipeline, collections.deque()
            self.input = types.SimpleNamespace(createInputQueue=lambda size, blocking: self)
            self.out = types.SimpleNamespace(createOutputQueue=lambda size, blocking: self)

        def setBlobPath(self, path):
            self._path = path

        def send(self, data):
            assert self._pipeline.running
            self._done.append(data.tensors)

        def get(self):
            out = NNData()
            out.tensors = self._pipeline.device.camera.infer(self._path, self._done.popleft())
            return out

    class ColourCamera:
        def __init__(self, pipeline):
            self._pipeline = pipeline

        def build(self, socket):
            assert socket == "CAM_A"
            return self

        def requestOutput(self, size, kind):
            assert kind == "BGR888i"
            return types.SimpleNamespace(createOutputQueue=lambda maximum, blocking: self)

        def get(self):
            return _Frame(self._pipeline.device.camera.image)

    class Pipeline:
        def __init__(self, device):
            self.device, self.running = device, False

        def create(self, kind):
            return kind(self)

        def start(self):
            self.running = True

        def stop(self):
            self.running = False

    base = _device_class(cameras, 3)

    class Device(base):
        def __init__(self, info):
            super().__init__(info.camera)

    return types.SimpleNamespace(
        Device=Device, NNData=NNData, Pipeline=Pipeline,
        node=types.SimpleNamespace(NeuralNetwork=NeuralNetwork, Camera=ColourCamera),
        TensorInfo=types.SimpleNamespace(DataType=types_),
        CameraBoardSocket=types.SimpleNamespace(CAM_A="CAM_A"),
        ImgFrame=types.SimpleNamespace(Type=types.SimpleNamespace(BGR888i="BGR888i")),
    )  # fmt: skip


def _version2(cameras):  # noqa: C901 - a package in one function
    class NNData:
        def __init__(self):
            self.layers = {}

        def setLayer(self, name, data):
            if isinstance(data, list):
                assert all(isinstance(value, float) for value in data)
                data = np.array(data, np.float16)
            assert data.dtype in (np.uint8, np.float16)
            self.layers[name] = data

        def getLayerFp16(self, name):
            return self.layers[name].astype(np.float32).ravel().tolist()

    class Node:
        def __init__(self):
            self.input = self.out = self.preview = self
            self.source, self.stream = None, ""

        def link(self, other):
            other.source = self

        def setStreamName(self, name):
            self.stream = name

        def setBlobPath(self, path):
            self.path = path

        def setMaxDataSize(self, size):
            self.limit = size

        def setPreviewSize(self, width, height):
            self.size = (width, height)

        def setInterleaved(self, value):
            assert value is False

        def setColorOrder(self, order):
            assert order == "BGR"

    kinds = {name: type(name, (Node,), {}) for name in ("XLinkIn", "XLinkOut", "NeuralNetwork", "ColorCamera")}

    class Pipeline:
        def __init__(self):
            self.nodes = []

        def create(self, kind):
            self.nodes.append(kind())
            return self.nodes[-1]

    base = _device_class(cameras, 2)

    class Device(base):
        def __init__(self, pipeline, info):
            super().__init__(info.camera)
            self._nodes = {node.stream: node for node in pipeline.nodes if node.stream}
            self._queues = collections.defaultdict(collections.deque)

        def getInputQueue(self, name, size, blocking):
            def send(data):
                assert sum(layer.nbytes for layer in data.layers.values()) <= self._nodes[name].limit
                self._queues[name].append(data)

            return types.SimpleNamespace(send=send)

        def getOutputQueue(self, name, size, blocking):
            source = self._nodes[name].source

            def get():
                if isinstance(source, kinds["ColorCamera"]):
                    return _Frame(self.camera.image)
                out = NNData()
                out.layers = self.camera.infer(source.path, self._queues[source.source.stream].popleft().layers)
                return out

            return types.SimpleNamespace(get=get)

    order = types.SimpleNamespace(ColorOrder=types.SimpleNamespace(BGR="BGR"))
    return types.SimpleNamespace(
        Device=Device, NNData=NNData, Pipeline=Pipeline, node=types.SimpleNamespace(**kinds),
        ColorCameraProperties=order,
    )  # fmt: skip
