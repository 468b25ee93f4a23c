"""Runners, one interface to every device: `open_runner("CPU", "net.json").run(batch)`."""

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

# Device name, or its family before ":" or "." -> runner class, imported on first use.
DEVICES = {
    "CPU": "ncs.runtime.openvino:OpenVINO",
    "GPU": "ncs.runtime.openvino:OpenVINO",
    "NPU": "ncs.runtime.openvino:OpenVINO",
    "AUTO": "ncs.runtime.openvino:OpenVINO",
    "HETERO": "ncs.runtime.openvino:OpenVINO",
    "MULTI": "ncs.runtime.openvino:OpenVINO",
    "MYRIAD": "ncs.runtime.myriad:Myriad",
    "MVNC": "ncs.runtime.mvnc:Mvnc",
    "OAK": "ncs.runtime.oak:Oak",
    "ONNXRUNTIME": "ncs.runtime.onnxruntime:OnnxRuntime",
    "CAFFE": "ncs.runtime.caffe:Caffe",
    "SIMULATOR": "ncs.runtime.simulator:Simulated",
}
_REMOTE = "ncs.runtime.remote:Remote"  # MYRIAD when its OpenVINO is installed for another Python only
# Modules that each runner imports.
_NEEDS = {
    "ncs.runtime.openvino:OpenVINO": ("openvino",),
    "ncs.runtime.myriad:Myriad": ("openvino.inference_engine",),
    "ncs.runtime.mvnc:Mvnc": ("mvnc",),
    "ncs.runtime.oak:Oak": ("depthai",),
    "ncs.runtime.onnxruntime:OnnxRuntime": ("onnxruntime",),
    "ncs.runtime.caffe:Caffe": ("torch",),
    "ncs.runtime.simulator:Simulated": ("numpy",),
}


def open_runner(device: str, source: Any, batch: int = 0, **options: Any) -> Any:
    """Load a model on a device.

    Parameters
    ----------
    device : str
        A key of DEVICES. MYRIAD, MVNC and OAK use all sticks or cameras, MYRIAD.1.2-ma2480, MVNC.0 or OAK.<id> a single
        one; "" selects `default_device()`.
    source : Manifest, path or list of paths
        A Manifest or its path (.json), a model file, or a list of model files.
    batch : int
        Batch size, for devices that can change it; 0 keeps the model's own.
    **options
        Passed to the runner (hint, cache, requests …).

    Returns
    -------
    ncs.runtime.base.Runner

    Raises
    ------
    NoDeviceError
        The device or its runtime is missing.
    NcsError
        The device is unknown, or the model cannot be loaded.
    """
    device = device or default_device()[0]
    runner = runner_class(device)
    if batch and runner.takes_batch:
        options["batch"] = batch
    names = sticks(device)
    if len(names) < 2 or options.get("counters"):  # performance counters are per stick
        return runner(source, device, **options)
    from ncs.runtime.scheduler import Scheduler

    return Scheduler([functools.partial(runner, source, name, **options) for name in names])


def runner_class(device: str) -> Any:
    """Return the runner class for a device name. Raises NcsError that lists the known devices."""
    family = device.split(":")[0].split(".")[0].upper()
    if family not in DEVICES:
        raise NcsError(
            f"unknown device '{device}'{did_you_mean(family, DEVICES)}; expected one of {', '.join(DEVICES)}"
        )
    target = DEVICES[family]
    if "MYRIAD" in device.upper():  # HETERO:MYRIAD,CPU too
        target = _REMOTE if _has_remote_runtime() else DEVICES["MYRIAD"]
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def sticks(device: str) -> list[str]:
    """Return the names of all sticks or cameras of `device` (MYRIAD, MVNC or OAK); empty for other devices."""
    if device.upper() not in ("MYRIAD", "MVNC", "OAK"):
        return []
    module = importlib.import_module(runner_class(device).__module__)
    try:
        return module.sticks()
    except NoDeviceError:
        return []  # opening the device reports the reason


def available() -> list[str]:
    """Return the devices whose runtime is installed (the device itself may still be missing)."""
    devices = [device for device, target in DEVICES.items() if all(map(is_importable, _NEEDS[target]))]
    return devices + (["MYRIAD"] if _has_remote_runtime() else [])


def _has_remote_runtime() -> bool:
    """Return whether the runtime for sticks is installed for another Python only."""
    return not all(map(is_importable, _NEEDS[DEVICES["MYRIAD"]])) and bool(runtime_python())


def default_device() -> tuple[str, str]:
    """Return (device, reason): a stick if one is plugged in and its runtime is installed, else the CPU."""
    plugged_in = usb.sticks()
    devices = available()
    for stick in plugged_in:
        device = "MVNC" if stick.product == "2150" else "MYRIAD"
        if device in devices:
            return device, f"{stick.kind} at USB {stick.port}"
    reason = "no Neural Compute Stick is plugged in"
    if plugged_in:
        reason = f"{plugged_in[0].kind} is plugged in, but no installed runtime supports it (run `ncs doctor`)"
    for device in ("CPU", "ONNXRUNTIME", "CAFFE"):
        if device in devices:
            return device, reason
    raise NcsError("no runtime is installed: install openvino or onnxruntime")


def is_importable(name: str) -> bool:
    """Return whether a module or a package's submodule is installed, without importing it."""
    parent, _, child = name.partition(".")
    try:
        spec = importlib.util.find_spec(parent)
    except (ImportError, ValueError):
        return False
    if spec is None or not child:
        return spec is not None
    folders = list(spec.submodule_search_locations or ())
    return any(os.path.isdir(os.path.join(folder, child)) for folder in folders)
