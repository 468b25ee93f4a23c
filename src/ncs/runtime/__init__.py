"""Runners: one narrow interface to every device: `open_runner("CPU", "AgeNet.json").run(batch)`."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from typing import Any

from caffe.errors import did_you_mean
from caffe.utils.cache import runtime_python
from ncs.errors import NcsError, NoDeviceError
from ncs.runtime import usb

# Name of a device, or of its family before ":" or ".", -> the class that runs it; imported when asked for.
DEVICES = {
    "CPU": "ncs.runtime.openvino:OpenVINO",
    "GPU": "ncs.runtime.openvino:OpenVINO",
    "NPU": "ncs.runtime.openvino:OpenVINO",
    "AUTO": "ncs.runtime.openvino:OpenVINO",
    "HETERO": "ncs.runtime.openvino:OpenVINO",
    "MULTI": "ncs.runtime.openvino:OpenVINO",
    "MYRIAD": "ncs.runtime.myriad:Myriad",
    "MVNC": "ncs.runtime.mvnc:Mvnc",
    "ONNXRUNTIME": "ncs.runtime.onnxruntime:OnnxRuntime",
    "CAFFE": "ncs.runtime.caffe:Caffe",
    "SIMULATOR": "ncs.runtime.simulator:Simulated",
}
_REMOTE = "ncs.runtime.remote:Remote"  # MYRIAD where its OpenVINO is another Python's
# What must be importable for it, by top module.
_NEEDS = {
    "ncs.runtime.openvino:OpenVINO": ("openvino",),
    "ncs.runtime.myriad:Myriad": ("openvino.inference_engine",),
    "ncs.runtime.mvnc:Mvnc": ("mvnc",),
    "ncs.runtime.onnxruntime:OnnxRuntime": ("onnxruntime",),
    "ncs.runtime.caffe:Caffe": ("torch",),
    "ncs.runtime.simulator:Simulated": ("numpy",),
}


def open_runner(device: str, source: Any, batch: int = 0, **options: Any) -> Any:
    """A Runner for `source` on `device`, made for `batch` pictures at a time where the device can be.

    `source` is a Manifest or its path (.json), a model file's path, or a list of paths; `options` go to the
    runner (hint, cache, requests …). "" takes `default_device()`. MYRIAD and MVNC take all sticks that are plugged in,
    MYRIAD.1.2-ma2480 or MVNC.0 that one. Raises NoDeviceError or NcsError.
    """
    device = device or default_device()[0]
    kind = runner_class(device)
    if batch and kind.takes_batch:
        options["batch"] = batch
    names = sticks(device)
    if len(names) < 2 or options.get("counters"):  # what a layer takes is asked of one stick
        return kind(source, device, **options)
    from ncs.runtime.scheduler import Scheduler

    return Scheduler([functools.partial(kind, source, name, **options) for name in names])


def runner_class(device: str) -> Any:
    """The class behind a device's name; an unknown name lists the known ones."""
    family = device.split(":")[0].split(".")[0].upper()
    if family not in DEVICES:
        raise NcsError(
            "no device is called '{}'{}; there are {}".format(device, did_you_mean(family, DEVICES), ", ".join(DEVICES))
        )
    target = DEVICES[family]
    if "MYRIAD" in device.upper():  # HETERO:MYRIAD,CPU too
        target = _REMOTE if _elsewhere() else DEVICES["MYRIAD"]
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def sticks(device: str) -> list[str]:
    """The names of the sticks that `device`, MYRIAD or MVNC, stands for; empty for any other, and where there are none."""
    if device.upper() not in ("MYRIAD", "MVNC"):
        return []
    module = importlib.import_module(runner_class(device).__module__)
    try:
        return module.sticks()
    except NoDeviceError:
        return []  # whoever opens it is told why


def available() -> list[str]:
    """Names of the devices whose runtime can be imported here (a stick may still be missing)."""
    there = [device for device, target in DEVICES.items() if all(map(_importable, _NEEDS[target]))]
    return there + (["MYRIAD"] if _elsewhere() else [])


def _elsewhere() -> bool:
    """Whether sticks are reached through another Python, which has the runtime that is not here."""
    return not all(map(_importable, _NEEDS[DEVICES["MYRIAD"]])) and bool(runtime_python())


def default_device() -> tuple[str, str]:
    """(device, why): a stick if one is plugged in and something can talk to it, else the CPU."""
    found = usb.sticks()
    there = available()
    for stick in found:
        device = "MVNC" if stick.product == "2150" else "MYRIAD"
        if device in there:
            return device, f"{stick.kind} at USB {stick.place}"
    reason = "no Neural Compute Stick is plugged in"
    if found:
        reason = f"{found[0].kind} is plugged in, but nothing here can talk to it (`ncs doctor`)"
    for device in ("CPU", "ONNXRUNTIME", "CAFFE"):
        if device in there:
            return device, reason
    raise NcsError("nothing here can run a model: install openvino or onnxruntime")


def _importable(name: str) -> bool:
    """Whether a module or a package's child is installed, without importing either."""
    parent, _, child = name.partition(".")
    try:
        spec = importlib.util.find_spec(parent)
    except (ImportError, ValueError):
        return False
    if spec is None or not child:
        return spec is not None
    folders = list(spec.submodule_search_locations or ())
    return any(os.path.isdir(os.path.join(folder, child)) for folder in folders)
