"""The weights of dlib's face recognition net, read out of its .dat file, as arrays in Caffe's layout.

dlib writes whole numbers as a byte that counts bytes (bit 7: negative) and the bytes themselves, least first; strings with
their length before them; and a tensor as version 2, four sizes, and its floats. The layers come in the order of the forward.
"""

from __future__ import annotations

import re

import numpy as np

from agegender.errors import AgeGenderError

_MARKS = re.compile(rb"(con_4|affine_|fc_2)")


def convert(path, net=None):
    """{layer: [arrays]} for `face_resnet.body(embedding=True)`, blue first, from dlib_face_recognition_resnet_model_v1.dat.

    What never learns is that of the zoo net `net`, which may be for pictures of another side.
    """
    from agegender.zoo import face_resnet

    with open(path, "rb") as stream:
        found = list(tensors(stream.read()))
    param = face_resnet.body(embedding=True)
    layers = [layer for layer in param.layer if layer.type in ("Convolution", "Scale", "InnerProduct")]
    learned = [layer for layer in layers if not layer.name.startswith(("widen_", "pad_"))]
    kinds = {"Convolution": "con_4", "Scale": "affine_", "InnerProduct": "fc_2"}
    if [kinds[layer.type] for layer in learned] != [kind for kind, _ in found]:
        raise AgeGenderError(f"{path}: not dlib's face recognition net of 29 convolutions")
    out = {layer.name: _arrays(layer, values) for layer, (_, values) in zip(learned, found)}
    first = learned[0].name
    out[first][0] = np.ascontiguousarray(out[first][0][:, ::-1])  # red first there, blue first here
    return {**out, **face_resnet.fixed_weights(net.body() if net else param)}


def _arrays(layer, values):
    """Weights and bias of a convolution, factors and offsets of a scale, the transposed matrix of a dense layer."""
    if layer.type == "InnerProduct":
        outputs = layer.inner_product_param.num_output
        return [np.ascontiguousarray(values.reshape(-1, outputs).T)]
    if layer.type == "Scale":
        return list(values.reshape(2, -1))
    outputs, side = layer.convolution_param.num_output, layer.convolution_param.kernel_size[0]
    return [values[:-outputs].reshape(outputs, -1, side, side), values[-outputs:]]


def tensors(data):
    """(mark, float32 values) of each layer with weights in dlib's serialized net `data`, in the order of the forward."""
    at = 0
    while mark := _MARKS.search(data, at):
        at, kind = mark.end(), mark.group().decode()
        if kind == "fc_2":  # outputs and inputs come before the tensor
            _, at = _number(data, at)
            _, at = _number(data, at)
        version, at = _number(data, at)
        if version != 2:
            continue  # letters that only look like a mark
        count = 1
        for _ in range(4):
            size, at = _number(data, at)
            count *= size
        if count < 0:
            raise AgeGenderError("the .dat file is damaged: %s wants %d values" % (kind, count))
        if at + 4 * count > len(data):
            raise AgeGenderError("the .dat file is cut short: %s wants %d values" % (kind, count))
        yield kind, np.frombuffer(data, "<f4", count, at)
        at += 4 * count


def _number(data, at):
    """(value, place behind it) of a whole number at `at`."""
    if at >= len(data):
        raise AgeGenderError("the .dat file is cut short")
    count = data[at] & 15
    value = int.from_bytes(data[at + 1 : at + 1 + count], "little")
    return -value if data[at] & 128 else value, at + 1 + count
