"""Read the weights of dlib's face recognition net from its .dat file, as arrays in Caffe's layout.

dlib serializes an integer as a byte with the number of bytes (bit 7: negative) and the bytes, least significant first;
a string with its length in front; and a tensor as version 2, four sizes and its floats. Layers are in forward order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from agegender.errors import AgeGenderError

if TYPE_CHECKING:
    from agegender.zoo.model import Net

_TAGS = re.compile(rb"(con_4|affine_|fc_2)")


def convert(path: str | os.PathLike, net: Net | None = None) -> dict[str, list[np.ndarray]]:
    """Weights of `face_resnet.body(embedding=True)` from dlib_face_recognition_resnet_model_v1.dat.

    Parameters
    ----------
    path : path
        dlib's .dat file.
    net : Net, optional
        Zoo net whose fixed weights are included; it may have another input size than the default.

    Returns
    -------
    dict
        {layer: [array]}, for BGR input.

    Raises
    ------
    AgeGenderError
        If the file is not that net or is truncated.
    """
    from agegender.zoo import face_resnet

    with open(path, "rb") as stream:
        stored = list(tensors(stream.read()))
    param = face_resnet.body(embedding=True)
    layers = [layer for layer in param.layer if layer.type in ("Convolution", "Scale", "InnerProduct")]
    trained = [layer for layer in layers if not layer.name.startswith(("widen_", "pad_"))]
    tag_of = {"Convolution": "con_4", "Scale": "affine_", "InnerProduct": "fc_2"}
    if [tag_of[layer.type] for layer in trained] != [tag for tag, _ in stored]:
        raise AgeGenderError(f"{path}: not dlib's face recognition net of 29 convolutions")
    out = {layer.name: _arrays(layer, values) for layer, (_, values) in zip(trained, stored)}
    first = trained[0].name
    out[first][0] = np.ascontiguousarray(out[first][0][:, ::-1])  # RGB to BGR
    return {**out, **face_resnet.fixed_weights(net.body() if net else param)}


def _arrays(layer, values):
    """Weights and bias of a convolution, factors and offsets of a Scale, or the transposed matrix of a dense layer."""
    if layer.type == "InnerProduct":
        outputs = layer.inner_product_param.num_output
        return [np.ascontiguousarray(values.reshape(-1, outputs).T)]
    if layer.type == "Scale":
        return list(values.reshape(2, -1))
    outputs, side = layer.convolution_param.num_output, layer.convolution_param.kernel_size[0]
    return [values[:-outputs].reshape(outputs, -1, side, side), values[-outputs:]]


def tensors(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (tag, float32 values) of each layer with weights in dlib's serialized net, in forward order."""
    offset = 0
    while match := _TAGS.search(data, offset):
        offset, tag = match.end(), match.group().decode()
        if tag == "fc_2":  # outputs and inputs come before the tensor
            _, offset = _integer(data, offset)
            _, offset = _integer(data, offset)
        version, offset = _integer(data, offset)
        if version != 2:
            continue  # other bytes that look like a tag
        count = 1
        for _ in range(4):
            size, offset = _integer(data, offset)
            count *= size
        if count < 0:
            raise AgeGenderError(f"the .dat file is damaged: {tag} has a size of {count} values")
        if offset + 4 * count > len(data):
            raise AgeGenderError(f"the .dat file is truncated: expected {count} values for {tag}")
        yield tag, np.frombuffer(data, "<f4", count, offset)
        offset += 4 * count


def _integer(data, offset):
    """(value, next offset) of an integer at `offset`."""
    if offset >= len(data):
        raise AgeGenderError("the .dat file is truncated")
    count = data[offset] & 15
    value = int.from_bytes(data[offset + 1 : offset + 1 + count], "little")
    return -value if data[offset] & 128 else value, offset + 1 + count
