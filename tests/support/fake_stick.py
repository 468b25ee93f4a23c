"""Simulated sticks behind the NCSDK's API (mvncapi v2 and v1), with injected failures."""

import collections
import functools
import threading
import time
import types

import numpy as np


class UsbError(Exception):
    """The exception of mvncapi, with a status as its text."""


class Bus:
    """Sticks that compute `model(image)`, (H, W, C) -> (K,), and can be unplugged and plugged in again."""

    def __init__(self, count, model, delay=0.0):
        self.model, self.delay = model, delay
        self.plugged = [True] * count
        self.generation = [0] * count  # incremented by unplugging, which invalidates open devices
        self.runs = [0] * count
        self.max_queued = [0] * count
        self.plan = {}  # (stick, number of runs) -> "pull out"
        self.lock = threading.Lock()

    def pull_out(self, number):
        with self.lock:
            self.plugged[number] = False
            self.generation[number] += 1

    def put_back(self, number):
        with self.lock:
            self.plugged[number] = True

    def check(self, number, generation):
        if not self.plugged[number] or self.generation[number] != generation:
            raise UsbError("Status.ERROR: -2")

    def infer(self, number, generation, image):
        """Run one inference; the plan may unplug the stick during it."""
        time.sleep(self.delay)
        self.check(number, generation)
        self.runs[number] += 1
        if self.plan.pop((number, self.runs[number]), None):
            self.pull_out(number)
        self.check(number, generation)
        return self.model(image)

    def enumerate_devices(self):
        return [number for number, plugged in enumerate(self.plugged) if plugged]

    def api(self):
        """A substitute for the module `mvnc.mvncapi`."""
        return types.SimpleNamespace(
            enumerate_devices=self.enumerate_devices,
            Device=functools.partial(Device, self),
            Graph=Graph,
            GraphOption=types.SimpleNamespace(RO_TIME_TAKEN=1001, RO_INPUT_TENSOR_DESCRIPTORS=1004),
            DeviceOption=types.SimpleNamespace(RO_THERMAL_STATS=2000),
        )


class Device:
    def __init__(self, bus, handle):
        self.bus, self.number, self.generation = bus, handle, bus.generation[handle]

    def check(self):
        self.bus.check(self.number, self.generation)

    open = close = destroy = check

    def get_option(self, option):
        assert option == 2000
        self.check()
        return np.array([40.5, 41.0, 0, 0], np.float32)


class Fifo:
    def __init__(self, device):
        self.device, self.queue = device, collections.deque()

    def read_elem(self):
        self.device.check()
        image, user = self.queue.popleft()
        return self.device.bus.infer(self.device.number, self.device.generation, image), user

    def destroy(self):
        self.device.check()


class Graph:
    def __init__(self, name):
        self.name, self.device = name, None

    def allocate_with_fifos(self, device, content):
        device.check()
        assert isinstance(content, bytes)
        self.device = device
        return Fifo(device), Fifo(device)

    def queue_inference_with_fifo_elem(self, fifo_in, fifo_out, image, user):
        self.device.check()
        if len(fifo_out.queue) >= 2:
            raise UsbError("Status.BUSY: -1")
        assert image.dtype == np.float32 and image.shape[2] == 3
        fifo_out.queue.append((image, user))
        queued = self.device.bus.max_queued
        queued[self.device.number] = max(queued[self.device.number], len(fifo_out.queue))

    def get_option(self, option):
        if option == 1004:
            return [types.SimpleNamespace(n=1, c=3, h=4, w=4)]
        assert option == 1001
        return np.arange(4, dtype=np.float32)

    def destroy(self):
        self.device.check()


class BusV1:
    """A stick behind mvncapi v1: FP16, LoadTensor and GetResult."""

    def __init__(self, model):
        self.model, self.queue, self.open = model, collections.deque(), False

    def api(self):
        bus = self

        class Graph:
            def LoadTensor(self, tensor, user):
                assert tensor.dtype == np.float16
                bus.queue.append((tensor, user))

            def GetResult(self):
                tensor, user = bus.queue.popleft()
                return bus.model(tensor).astype(np.float16), user

            def GetGraphOption(self, option):
                return np.zeros(3, np.float32)

            def DeallocateGraph(self):
                pass

        class Device:
            def __init__(self, name):
                assert name == "1.2"

            def OpenDevice(self):
                bus.open = True

            def AllocateGraph(self, content):
                return Graph()

            def CloseDevice(self):
                bus.open = False

        return types.SimpleNamespace(
            EnumerateDevices=lambda: ["1.2"], Device=Device, GraphOption=types.SimpleNamespace(TIME_TAKEN=1)
        )
