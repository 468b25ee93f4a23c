"""Rewrite operations that OpenVINO 2021.4's Myriad compiler compiles incorrectly without a message.

The faults were found by running blobs in the simulator (docs/guides/simulator.md). Both forms are equivalent for every
other reader of the ONNX file.
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
