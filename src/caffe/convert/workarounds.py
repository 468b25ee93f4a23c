"""What OpenVINO 2021.4's Myriad compiler gets wrong, written in another way that it gets right.

Found by running blobs in the simulator (docs/guides/simulator.md): the blob computed something else than the net, and
no message said so. Every other reader of the ONNX file computes the same from either form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LARGEST_KERNEL = 15  # of the convolution engines


def around_faults(nodes: list, constants: list) -> None:
    """Change NodeProtos in place, and append to (name, array) `constants` what they then read."""
    makers = {name: node for node in nodes for name in node.output}
    for node in nodes:
        maker = makers.get(node.input[0]) if node.input else None
        if node.op_type == "Relu" and maker is not None and loses_relu(maker):
            _as_clip(node, constants)


def loses_relu(node: Any) -> bool:
    """Whether the compiler drops a Relu behind this node for Myriad X.

    It marks a deconvolution as one for the engines, takes the Relu into it, and then runs it on SHAVE cores without one
    where it has groups or a large kernel.
    """
    if node.op_type != "ConvTranspose":
        return False
    attributes = {attribute.name: attribute for attribute in node.attribute}
    kernel = attributes["kernel_shape"].ints
    return attributes["group"].i > 1 or max(kernel, default=1) > LARGEST_KERNEL


def _as_clip(node: Any, constants: list) -> None:
    """Relu as a Clip from 0 on, which stays a stage of its own."""
    name = f"{node.output[0]}@zero"
    constants.append((name, np.zeros((), np.float32)))
    node.op_type = "Clip"
    node.input.append(name)
