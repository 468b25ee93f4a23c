"""Runners: one narrow interface to every device: `open_runner("CPU", "AgeNet.json").run(batch)`."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

from caffe.errors import did_you_mean
from ncs.errors import NcsError
from ncs.runners import usb

# Name of a device, or of its family before ":" or ".", -> the class that runs it; imported when asked for.
DEVICES = {
    "CPU": "ncs.runners.openvino:OpenVINO",
    "GPU": "ncs.runners.openvino:OpenVINO",
    "NPU": "ncs.runners.openvino:OpenVINO",
    "AUTO": "ncs.runners.openvino:OpenVINO",
    "HETERO": "ncs.runners.openvino:OpenVINO",
    "MULTI": "ncs.runners.openvino:OpenVINO",
    "MYRIAD": "ncs.runners.myriad:Myriad",
    "MVNC": "ncs.runners.mvnc:Mvnc",
    "ONNXRUNTIME": "ncs.runners.onnxruntime:OnnxRuntime",
    "CAFFE": "ncs.runners.caffe:Caffe",
}
# What must be importable for it, by top module.
_NEEDS = {
    "ncs.runners.openvino:OpenVINO": ("openvino",),
    "ncs.runners.myriad:Myriad": ("openvino.inference_engine",),
    "ncs.runners.mvnc:Mvnc": ("mvnc",),
    "ncs.runners.onnxruntime:OnnxRuntime": ("onnxruntime",),
    "ncs.runners.caffe:Caffe": ("torch",),
}


def open_runner(device: str, source: Any, batch: int = 0, **options: Any) -> Any:
    """A Runner for `source` on `device`, made for `batch` pictures at a time where the device can be.

    `source` is a Manifest or its path (.json), a model file's path, or a list of paths; `options` go to the
    runner (hint, cache, requests …). "" takes `default_device()`. Raises NoDeviceError or NcsError.
    """
    device = device or default_device()[0]
    kind = runner_class(device)
    if batch and kind.takes_batch:
        options["batch"] = batch
    return kind(source, device, **options)


def runner_class(device: str) -> Any:
    """The class behind a device's name; an unknown name lists the known ones."""
    family = device.split(":")[0].split(".")[0].upper()
    if family not in DEVICES:
        raise NcsError("no device is called '%s'%s; there are %s"
                       % (device, did_you_mean(family, DEVICES), ", ".join(DEVICES)))
    module, _, name = DEVICES[family].partition(":")
    return getattr(importlib.import_module(module), name)


def available() -> list[str]:
    """Names of the devices whose runtime can be imported here (a stick may still be missing)."""
    return [device for device, target in DEVICES.items() if all(map(_importable, _NEEDS[target]))]


def default_device() -> tuple[str, str]:
    """(device, why): a stick if one is plugged in and something can talk to it, else the CPU."""
    found = usb.sticks()
    there = available()
    for stick in found:
        device = "MVNC" if stick.product == "2150" else "MYRIAD"
        if device in there:
            return device, "%s at USB %s" % (stick.kind, stick.place)
    reason = "no Neural Compute Stick is plugged in"
    if found:
        reason = "%s is plugged in, but nothing here can talk to it (`ncs doctor`)" % found[0].kind
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
