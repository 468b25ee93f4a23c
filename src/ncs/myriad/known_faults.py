"""Work around operations that the Myriad compiler compiles incorrectly without a message.

The faults were found by running blobs in the simulator (docs/guides/simulator.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.etree import ElementTree

from caffe.convert.workarounds import loses_relu

BLACK_LIST = "MYRIAD_HW_BLACK_LIST"


def settings(model: str, config: dict[str, str]) -> dict[str, str]:
    """Add the layers that must not run on the convolution engines to the compiler settings.

    Parameters
    ----------
    model : str
        An ONNX file or an IR (.xml).
    config : dict
        Settings of the compiler plugin.

    Returns
    -------
    dict
        `config`, with the layers added to MYRIAD_HW_BLACK_LIST if there are any.
    """
    names = on_shaves(list(nodes(model))) if model.endswith(".onnx") else _padded_averages_of_ir(model)
    if not names:
        return config
    existing = [name for name in config.get(BLACK_LIST, "").split(",") if name]
    return {**config, BLACK_LIST: ",".join([*existing, *names])}


def on_shaves(graph: list) -> list[str]:
    """Return the output names of the average poolings that must run on SHAVE cores: those with padding.

    A hardware stage encodes that it pads, but not on which edges, nor whether padding counts: nets with different
    outputs compile to the same bytes. SHAVE stages encode all of it. If padding counts and the engines cannot pad as
    the net requires, the compiler adds a separate padding stage, which is correct as well.
    """
    averages = [node for node in graph if node.op_type == "AveragePool"]
    return [node.output[0] for node in averages if _padded(node) and not _padded_before(node)]


def _padded_averages_of_ir(model: str) -> list[str]:
    """Return the names of the average poolings with padding in an IR."""
    try:
        layers = list(ElementTree.parse(model).getroot().iter("layer")) if model.endswith(".xml") else []
    except (ElementTree.ParseError, OSError):
        return []  # the compiler reports what is wrong with the file
    names = []
    for layer in layers:
        data = layer.find("data")
        if layer.get("type") == "AvgPool" and data is not None:
            pads = f"{data.get('pads_begin', '')},{data.get('pads_end', '')}".split(",")
            if any(pad.strip() not in ("", "0") for pad in pads) or data.get("auto_pad", "").startswith("same"):
                names.append(layer.get("name", ""))
    return names


def warnings(graph: list) -> list[str]:
    """Return one line per operation that is compiled incorrectly whatever the settings."""
    producers = {name: node for node in graph for name in node.output}
    lost = [node for node in graph if node.op_type == "Relu" and node.input[0] in producers]
    return [
        f"'{node.output[0]}': the compiler drops a Relu after a ConvTranspose with groups or a kernel above 15 "
        "for MA2480; replace it by a Clip with minimum 0"
        for node in lost
        if loses_relu(producers[node.input[0]])
    ]


def _padded(node: Any) -> bool:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    automatic = "auto_pad" in attributes and attributes["auto_pad"].s not in (b"NOTSET", b"VALID")
    return automatic or ("pads" in attributes and any(attributes["pads"].ints))


def _padded_before(node: Any) -> bool:
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if "pads" not in attributes or "count_include_pad" not in attributes or not attributes["count_include_pad"].i:
        return False
    kernel, pads = attributes["kernel_shape"].ints, attributes["pads"].ints
    if any(pad not in (0, size // 2) for pad, size in zip(pads, kernel)):
        return True
    dense = "strides" not in attributes or all(stride == 1 for stride in attributes["strides"].ints)
    return dense and any(pad not in (0, (size - 1) // 2) for pad, size in zip(pads[len(kernel) :], kernel))


def nodes(model: str) -> Iterator:
    """Yield the NodeProtos of an ONNX file without reading its weights."""
    from google.protobuf.message import DecodeError
    from onnx import NodeProto

    with open(model, "rb") as stream:
        end = os.path.getsize(model)
        for number, begin, length in _fields(stream, 0, end):
            if number != 7:  # ModelProto.graph
                continue
            for inner, offset, size in _fields(stream, begin, begin + length):
                if inner == 1:  # GraphProto.node
                    stream.seek(offset)
                    try:
                        yield NodeProto.FromString(stream.read(size))
                    except DecodeError:
                        return  # the compiler reports what is wrong with the file


def _fields(stream: BinaryIO, offset: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, offset, length) of the length-delimited fields of a message; skip all others."""
    while offset < end:
        stream.seek(offset)
        head = stream.read(20)
        key, size = _varint(head, 0)
        if key & 7 == 2:
            length, after = _varint(head, size)
            yield key >> 3, offset + after, length
            offset += after + length
        elif key & 7 == 0:
            offset += _varint(head, size)[1]
        elif key & 7 in (1, 5):
            offset += size + (8 if key & 7 == 1 else 4)
        else:
            return  # not protobuf


def _varint(content: bytes, offset: int) -> tuple[int, int]:
    """Return (value, offset of the next byte)."""
    value = shift = 0
    for index in range(offset, len(content)):
        value |= (content[index] & 127) << shift
        shift += 7
        if content[index] < 128:
            return value, index + 1
    return value, len(content)
