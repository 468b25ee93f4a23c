"""Operations that the Myriad compiler turns into a blob which computes something else, and how to compile them right.

Found by running blobs in the simulator (docs/guides/simulator.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.etree import ElementTree

from caffe.convert.workarounds import loses_relu

BLACK_LIST = "MYRIAD_HW_BLACK_LIST"


def settings(model: str, config: dict[str, str]) -> dict[str, str]:
    """`config` with the layers of an ONNX file or IR that must not run on the convolution engines."""
    names = on_shaves(list(nodes(model))) if model.endswith(".onnx") else _in_ir(model)
    if not names:
        return config
    given = [name for name in config.get(BLACK_LIST, "").split(",") if name]
    return {**config, BLACK_LIST: ",".join([*given, *names])}


def on_shaves(graph: list) -> list[str]:
    """Average poolings with padding.

    A hardware stage says that it pads, not where, nor whether padding counts: nets with different answers become the
    same bytes. On SHAVE cores the blob says all of it. Where the engines cannot pad as a net needs it, and padding
    counts, the compiler pads in a stage of its own, which is as good.
    """
    averages = [node for node in graph if node.op_type == "AveragePool"]
    return [node.output[0] for node in averages if _padded(node) and not _padded_before(node)]


def _in_ir(model: str) -> list[str]:
    """The same of an IR."""
    try:
        layers = list(ElementTree.parse(model).getroot().iter("layer")) if model.endswith(".xml") else []
    except (ElementTree.ParseError, OSError):
        return []  # the compiler says what is wrong with the file
    found = []
    for layer in layers:
        data = layer.find("data")
        if layer.get("type") == "AvgPool" and data is not None:
            pads = f"{data.get('pads_begin', '')},{data.get('pads_end', '')}".split(",")
            if any(pad.strip() not in ("", "0") for pad in pads) or data.get("auto_pad", "").startswith("same"):
                found.append(layer.get("name", ""))
    return found


def warnings(graph: list) -> list[str]:
    """What of a graph is compiled wrong, and cannot be helped by a setting."""
    makers = {name: node for node in graph for name in node.output}
    lost = [node for node in graph if node.op_type == "Relu" and node.input[0] in makers]
    return [
        f"'{node.output[0]}': a Relu behind a ConvTranspose with groups or a kernel above 15 is lost on MA2480; "
        "write it as a Clip from 0 on"
        for node in lost
        if loses_relu(makers[node.input[0]])
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
    """The NodeProtos of an ONNX file, without reading its weights."""
    from google.protobuf.message import DecodeError
    from onnx import NodeProto

    with open(model, "rb") as stream:
        end = os.path.getsize(model)
        for number, begin, length in _fields(stream, 0, end):
            if number != 7:  # ModelProto.graph
                continue
            for inner, place, size in _fields(stream, begin, begin + length):
                if inner == 1:  # GraphProto.node
                    stream.seek(place)
                    try:
                        yield NodeProto.FromString(stream.read(size))
                    except DecodeError:
                        return  # the compiler says what is wrong with the file


def _fields(stream: BinaryIO, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, offset, length) of the length-delimited fields of a message; others are passed over."""
    while place < end:
        stream.seek(place)
        head = stream.read(20)
        key, size = _varint(head, 0)
        if key & 7 == 2:
            length, after = _varint(head, size)
            yield key >> 3, place + after, length
            place += after + length
        elif key & 7 == 0:
            place += _varint(head, size)[1]
        elif key & 7 in (1, 5):
            place += size + (8 if key & 7 == 1 else 4)
        else:
            return  # no protobuf


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """(value, the place behind it)."""
    value = shift = 0
    for at in range(place, len(content)):
        value |= (content[at] & 127) << shift
        shift += 7
        if content[at] < 128:
            return value, at + 1
    return value, len(content)
