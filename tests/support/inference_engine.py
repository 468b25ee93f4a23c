"""A simulated OpenVINO 2021.4: IECore with sticks that can be unplugged and plugged in again, and injected failures.

It behaves like the real CPU plugin (test_inference_engine.py runs the same runner on that) and, where only a stick
applies, like the documentation: device names, statuses, the thermal metric.
"""

import threading
import time
import types

import numpy as np


class Core:
    """Sticks by name, which compute `model(image)`, (C, H, W) -> (K,); `max_pending` requests ran at once on each."""

    def __init__(self, names, model, shape=(1, 3, 4, 4), delay=0.0):
        self.names, self.model, self.shape, self.delay = list(names), model, shape, delay
        self.plugged = dict.fromkeys(names, True)
        self.generation, self.runs, self.max_pending = (dict.fromkeys(names, 0) for _ in range(3))
        self.plan = {}  # (name, number of runs) -> "pull out" or the status of that request
        self.loaded = []  # (path, device, configuration, requests)
        self.lock = threading.Lock()

    def pull_out(self, name):
        with self.lock:
            self.plugged[name] = False
            self.generation[name] += 1

    def put_back(self, name):
        self.plugged[name] = True

    def get_metric(self, device, metric):
        assert (device, metric) == ("MYRIAD", "AVAILABLE_DEVICES")
        return [name for name in self.names if self.plugged[name]]

    @property
    def available_devices(self):
        sticks = self.get_metric("MYRIAD", "AVAILABLE_DEVICES")
        return ["CPU", *(["MYRIAD." + name for name in sticks] if len(sticks) > 1 else ["MYRIAD"] * len(sticks))]

    def import_network(self, path, device, config, requests):
        with open(path, "rb") as stream:
            if stream.read(4) != b"\x7felf":
                raise RuntimeError("Blob is empty")
        sticks = self.get_metric("MYRIAD", "AVAILABLE_DEVICES")
        name = device.partition(".")[2] or (sticks[0] if sticks else "")
        if name not in sticks:
            raise RuntimeError("Can not init Myriad device: NC_ERROR")
        self.loaded.append((path, device, config, requests))
        return Network(self, name, requests)


class Network:
    def __init__(self, core, name, requests):
        self.core, self.name, self.generation = core, name, core.generation[name]
        self.pending = 0
        self.input_info = {"data": types.SimpleNamespace(tensor_desc=types.SimpleNamespace(dims=list(core.shape)))}
        self.outputs = {"prob": None}
        self.requests = [Request(self) for _ in range(requests)]

    def check(self):
        if not self.core.plugged[self.name] or self.core.generation[self.name] != self.generation:
            raise RuntimeError("Failed to queue inference: NC_ERROR")

    def get_metric(self, metric):
        assert metric == "DEVICE_THERMAL"
        self.check()
        return 43.5


class Request:
    def __init__(self, network):
        self.network, self.batch = network, None

    def async_infer(self, inputs):
        self.network.check()
        assert self.batch is None, "Request is busy"
        self.batch = np.array(inputs["data"])
        core, name = self.network.core, self.network.name
        self.network.pending += 1
        core.max_pending[name] = max(core.max_pending[name], self.network.pending)

    def wait(self, timeout):
        core, name = self.network.core, self.network.name
        time.sleep(core.delay)
        batch, self.batch = self.batch, None
        self.network.pending -= 1
        core.runs[name] += 1
        failure = core.plan.pop((name, core.runs[name]), 0)
        if failure == "pull out":
            core.pull_out(name)
        elif failure:
            return failure
        self.network.check()
        self.output_blobs = {"prob": types.SimpleNamespace(buffer=np.stack([core.model(image) for image in batch]))}
        return 0

    def get_perf_counts(self):
        self.network.check()
        return {"conv1": {"layer_type": "Convolution", "real_time": 1500}}
