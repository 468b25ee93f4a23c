"""Rewrite operations that OpenVINO computes incorrectly without a message.

The faults of 2021.4's Myriad compiler were found by running blobs in the simulator (docs/guides/simulator.md), the one
of the CPU plugin by comparing random nets. Both forms are equivalent for every other reader of the ONNX file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LARGEST_KERNEL = 15  # that the convolution engines support


def around_faults(nodes: list, constants: list) -> None:
    """Rewrite NodeProtos in place and append their new inputs to `constants` as (name, array)."""
    producers = {name: node for node in nodes for name in node.output}
    for node in nodes:
        producer = producers.get(node.input[0]) if node.input else None
        if node.op_type == "Relu" and producer is not None and loses_relu(producer):
            _as_clip(node, constants)
        if loses_padding(node):
            _widen_kernel(node, constants)


def loses_relu(node: Any) -> bool:
    """Return whether the compiler drops a Relu after this node for Myriad X.

    It selects the engines for a deconvolution and fuses the Relu. If the deconvolution has groups or a large kernel, it
    then runs on SHAVE cores without the Relu.
    """
    if node.op_type != "ConvTranspose":
        return False
    attributes = {attribute.name: attribute for attribute in node.attribute}
    kernel = attributes["kernel_shape"].ints
    return attributes["group"].i > 1 or max(kernel, default=1) > LARGEST_KERNEL


def _as_clip(node: Any, constants: list) -> None:
    """Turn a Relu into a Clip with minimum 0, which the compiler does not fuse."""
    name = f"{node.output[0]}@zero"
    constants.append((name, np.zeros((), np.float32)))
    node.op_type = "Clip"
    node.input.append(name)


def loses_padding(node: Any) -> bool:
    """Return whether OpenVINO's CPU plugin computes this convolution incorrectly.

    It moves the stride of a 1 x 1 convolution into the layers before it, without regard to the padding in between.
    """
    if node.op_type != "Conv":
        return False
    values = {attribute.name: list(attribute.ints) for attribute in node.attribute}
    ones = set(values["kernel_shape"]) == {1}
    return ones and any(pad > 0 for pad in values.get("pads", ())) and any(step > 1 for step in values["strides"])


def _widen_kernel(node, constants):
    """Make the kernel of a 1 x 1 convolution 1 x 2, with zeros: its stride stays where it is."""
    weights = dict(constants)[node.input[1]]
    node.input[1] = f"{node.output[0]}@wide"
    constants.append((node.input[1], np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, 1)])))
    for attribute in node.attribute:
        if attribute.name == "kernel_shape":
            attribute.ints[-1] = 2
        if attribute.name == "pads":
            attribute.ints[-1] += 1
