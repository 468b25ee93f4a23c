"""An IR that takes images as OpenCV decodes them: uint8, BGR."""

from __future__ import annotations

from typing import Any

import numpy as np

from ncs.errors import NcsError
from ncs.runtime.manifest import Manifest


def write(manifest: Manifest, target: str, layout: str = "NHWC") -> None:
    """Write the IR of `manifest` to `target` with the Transform's channel order, mean and scale as its first nodes.

    Parameters
    ----------
    manifest : Manifest
        It must have an IR.
    target : str
        Path of the new .xml; the .bin is written next to it.
    layout : {"NHWC", "NCHW"}
        Of the input.
    """
    from caffe.utils.telemetry import import_openvino
    from ncs.compiler import ir
    from ncs.compiler.embed_preprocessing import preprocessing_of

    if len(manifest.all_inputs()) > 1:
        names = ", ".join(port.name for port in manifest.all_inputs())
        raise NcsError(f"'{manifest.name}': expected a net with one input, received {names}")
    model = import_openvino().Core().read_model(manifest.path("xml"))
    preprocessing = preprocessing_of(manifest.transform, manifest.shape)
    swap = manifest.transform.order == "RGB" and manifest.shape[1] == 3
    ir.save(with_raw_images(model, preprocessing.mean, preprocessing.scale, swap, layout), target)


def with_raw_images(model: Any, mean: np.ndarray | None, scale: float, swap: bool, layout: str = "NHWC") -> Any:
    """Return an openvino.Model whose input is uint8 in BGR and `layout` instead of float N x C x H x W.

    `mean` broadcasts to (C, H, W); `swap` reverses the channels before the mean is subtracted.
    """
    import openvino
    from openvino import opset8

    old = model.get_parameters()[0]
    count, channels, height, width = list(old.shape)
    names = old.output(0).get_names()
    sizes = {"N": count, "C": channels, "H": height, "W": width}
    parameter = opset8.parameter([sizes[axis] for axis in layout], np.uint8, name=old.get_friendly_name())
    parameter.set_layout(openvino.Layout(layout))
    value = opset8.convert(parameter, "f32")
    if layout != "NCHW":
        value = opset8.transpose(value, opset8.constant(np.array([layout.index(axis) for axis in "NCHW"])))
    if swap:
        value = opset8.gather(value, opset8.constant(np.array([2, 1, 0])), opset8.constant(np.array(1)))
    if mean is not None:
        value = opset8.subtract(value, opset8.constant(mean[None].astype(np.float32)))
    if scale != 1:
        value = opset8.multiply(value, opset8.constant(np.float32(scale)))
    for reader in list(old.output(0).get_target_inputs()):
        reader.replace_source_output(value.output(0))
    old.output(0).set_names(set())
    parameter.output(0).set_names(names)
    model.replace_parameter(0, parameter)
    return model
