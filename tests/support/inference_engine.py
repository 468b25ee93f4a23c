"""A simulated OpenVINO 2021.4: IECore with sticks that answer, are pulled out and come back; faults planted in it.

What it does was read off the real one's CPU plugin (test_inference_engine.py runs the same runner on that) and, for what
only a stick does, off its documentation: names of devices, statuses, the thermal metric.
"""

import threading
import time
import types

import numpy as np


class Core:
    """Sticks by name; `answer(picture CHW) -> K numbers`. `most` counts what was under way at once on each."""

    def __init__(self, names, answer, shape=(1, 3, 4, 4), delay=0.0):
        self.names, self.answer, self.shape, self.delay = list(names), answer, shape, delay
        self.plugged = dict.fromkeys(names, True)
        self.generation, self.runs, self.most = (dict.fromkeys(names, 0) for _ in range(3))
        self.plan = {}  # (name, after so many runs) -> "pull out" or the status that request ends with
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
        there = self.get_metric("MYRIAD", "AVAILABLE_DEVICES")
        return ["CPU", *(["MYRIAD." + name for name in there] if len(there) > 1 else ["MYRIAD"] * len(there))]

    def import_network(self, path, device, config, requests):
        with open(path, "rb") as stream:
            if stream.read(4) != b"\x7felf":
                raise RuntimeError("Blob is empty")
        there = self.get_metric("MYRIAD", "AVAILABLE_DEVICES")
        name = device.partition(".")[2] or (there[0] if there else "")
        if name not in there:
            raise RuntimeError("Can not init Myriad device: NC_ERROR")
        self.loaded.append((path, device, config, requests))
        return Network(self, name, requests)


class Network:
    def __init__(self, core, name, requests):
        self.core, self.name, self.generation = core, name, core.generation[name]
        self.under_way = 0
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
        self.network.under_way += 1
        core.most[name] = max(core.most[name], self.network.under_way)

    def wait(self, timeout):
        core, name = self.network.core, self.network.name
        time.sleep(core.delay)
        batch, self.batch = self.batch, None
        self.network.under_way -= 1
        core.runs[name] += 1
        fault = core.plan.pop((name, core.runs[name]), 0)
        if fault == "pull out":
            core.pull_out(name)
        elif fault:
            return fault
        self.network.check()
        self.output_blobs = {"prob": types.SimpleNamespace(buffer=np.stack([core.answer(p) for p in batch]))}
        return 0

    def get_perf_counts(self):
        self.network.check()
        return {"conv1": {"layer_type": "Convolution", "real_time": 1500}}
