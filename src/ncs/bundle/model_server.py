"""Repositories for OpenVINO Model Server."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence

import numpy as np

from ncs.bundle.output import output_folder, read_manifests, write


def model_server(
    paths: Sequence[str], folder: str, device: str = "CPU", mount_path: str = "/models"
) -> list[dict[str, object]]:
    """Write an OpenVINO Model Server repository: NAME/1/NAME.xml and .bin, and config.json; return the configurations.

    `mount_path` is the path of the folder on the server. Clients send images as OpenCV reads them (NHWC, BGR).
    Per-channel means and the scale are in config.json; a per-pixel mean, which config.json does not support, becomes
    part of the model together with the scale.
    """
    manifests, configs = read_manifests(paths), []
    with output_folder(folder) as temporary:
        for manifest in manifests:
            version = os.path.join(temporary, manifest.name, "1")
            os.makedirs(version)
            configs.append({"config": _add_to_server(manifest, version, device, mount_path)})
        write(temporary, "config.json", json.dumps({"model_config_list": configs}, indent=1) + "\n")
    return [entry["config"] for entry in configs]


def _add_to_server(manifest, version, device, mount_path):
    """Write one model into the repository; return its configuration."""
    from ncs.compiler.embed_preprocessing import preprocessing_of

    preprocessing = preprocessing_of(manifest.transform, manifest.shape)
    config = {
        "name": manifest.name,
        "base_path": "{}/{}".format(mount_path.rstrip("/"), manifest.name),
        "target_device": device,
        "layout": "NHWC:NCHW",
        "color_format": "BGR:" + manifest.transform.order,
        "shape": "({})".format(", ".join(map(str, np.array(manifest.shape)[[0, 2, 3, 1]]))),
        "model_version_policy": {"latest": {"num_versions": 1}},
    }
    target = os.path.join(version, manifest.name + ".xml")
    if preprocessing.mean is not None and preprocessing.mean.shape[1:] != (1, 1):
        _write_with_preprocessing(manifest.path("xml"), target, preprocessing)
        return config
    for kind in ("xml", "bin"):
        shutil.copyfile(manifest.path(kind), target[:-3] + kind)
    if preprocessing.mean is not None:
        config["mean"] = [float(value) for value in preprocessing.mean.ravel()]
    if preprocessing.scale != 1:
        config["scale"] = 1 / preprocessing.scale  # the server divides
    return config


def _write_with_preprocessing(source, target, preprocessing):
    """Write an IR whose first nodes subtract the mean and apply the scale."""
    from caffe.utils.telemetry import import_openvino
    from ncs.compiler import ir

    openvino = import_openvino()
    from openvino import opset8

    model = openvino.Core().read_model(source)
    parameter = model.get_parameters()[0]
    readers = list(parameter.output(0).get_target_inputs())
    value = opset8.subtract(parameter, opset8.constant(preprocessing.mean[None].astype(np.float32)))
    if preprocessing.scale != 1:
        value = opset8.multiply(value, opset8.constant(np.float32(preprocessing.scale)))
    for reader in readers:
        reader.replace_source_output(value.output(0))
    ir.save(model, target)
