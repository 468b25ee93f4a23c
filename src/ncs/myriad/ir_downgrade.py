"""An IR of today's OpenVINO (v11) as the Myriad compiler reads it (v10): newer operations become the older ones they extend.

Sources: OpenVINO's operation sets 1 to 12 (docs.openvino.ai, "Operation Sets"); the compiler of 2021.4.2 knows sets 1 to 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ncs.errors import NcsError
from ncs.myriad.ir_graph import IrGraph, sizes

NEWEST = 7


def make_older(path: str, folder: str) -> str:
    """Write `path` (an IR v11 with its .bin beside it) as v10 into `folder`; returns the new path.

    Raises NcsError naming every operation that has no older form.
    """
    graph = IrGraph(path)
    faults = []
    for layer in list(graph.layers):
        if _number(layer) > NEWEST:
            kind = "%s-%d" % (layer.get("type"), _number(layer))
            try:
                _STEPS.get(kind, _none)(graph, layer)
            except NcsError as error:
                faults.append('  layer "{}" ({}): {}'.format(layer.get("name"), kind, error))
    if faults:
        raise NcsError(
            "%s: %d operation(s) are newer than the Myriad compiler (OpenVINO 2021.4.2):\n%s"
            % (path, len(faults), "\n".join(faults))
        )
    _name_ports(graph)
    return graph.write(folder)


def _name_ports(graph: IrGraph) -> None:
    """In v10 inputs and answers are called as the layers that make them; here by their tensors' names, as in v11."""
    makers = [layer for layer in graph.layers if layer.get("type") == "Parameter"]
    makers += [graph.source(layer, 0) for layer in graph.layers if layer.get("type") == "Result"]
    for maker in makers:
        ports = maker.findall("output/port")
        name = ports[0].get("names", "").split(",")[0] if len(ports) == 1 else ""
        if name and name != maker.get("name"):
            for other in graph.layers:
                if other.get("name") == name:
                    other.set("name", name + "/inner")
            maker.set("name", name)


def _number(layer: Any) -> int:
    """8 of opset8; 0 for what is in no set."""
    digits = layer.get("version", "").replace("opset", "")
    return int(digits) if digits.isdigit() else 0


def _older(version: int, drop: tuple[str, ...] = ()) -> Callable[[IrGraph, Any], None]:
    """The operation as set `version` has it, without the attributes `drop` that it lacks there."""

    def step(graph: IrGraph, layer: Any) -> None:
        layer.set("version", "opset%d" % version)
        for name in drop:
            layer.find("data").attrib.pop(name, None)

    return step


def _max_pool(graph: IrGraph, layer: Any) -> None:
    """Set 8 added dilations and a second result, the places of the maxima."""
    outputs = layer.find("output")
    places = [port for port in outputs][1:]
    if any(
        edge.get("from-layer") == layer.get("id") and edge.get("from-port") == port.get("id")
        for edge in graph.edges
        for port in places
    ):
        raise NcsError("the places of its maxima are used, which the older operation does not tell")
    if set(layer.find("data").get("dilations", "1").replace(" ", "").split(",")) != {"1"}:
        raise NcsError("it is dilated")
    for port in places:
        outputs.remove(port)
    _older(1, ("dilations", "index_element_type", "axis"))(graph, layer)


def _softmax(graph: IrGraph, layer: Any) -> None:
    """Set 8 allows axes counted from the end."""
    data = layer.find("data")
    data.set("axis", str(int(data.get("axis", "1")) % len(sizes(layer))))
    layer.set("version", "opset1")


def _slice(graph: IrGraph, layer: Any) -> None:
    """Set 8's Slice names axes; StridedSlice has numbers for all of them, and masks where they do not count."""
    ports, rank = len(layer.find("input")), len(sizes(layer))
    given = [graph.constant(layer, port) for port in (1, 2, 3)]
    axes = graph.constant(layer, 4) if ports > 4 else np.arange(len(given[0]))
    columns, free = [np.full(rank, value, np.int64) for value in (0, 0, 1)], np.ones(rank, int)
    for column, values in zip(columns, given):
        column[axes] = values
    free[axes] = 0
    graph.set_constants(layer, 1, columns)
    mask = ",".join(map(str, free))
    layer.set("type", "StridedSlice")
    layer.set("version", "opset1")
    layer.insert(
        0,
        ElementTree.Element(
            "data", begin_mask=mask, end_mask=mask, new_axis_mask="", shrink_axis_mask="", ellipsis_mask=""
        ),
    )


def _interpolate(graph: IrGraph, layer: Any) -> None:
    """Set 11 takes sizes or scales; set 4 takes both, and uses the one that its attribute names."""
    data, whole = layer.find("data"), sizes(layer)
    if data.get("mode") not in ("nearest", "linear", "linear_onnx", "cubic"):
        raise NcsError("mode '{}' is not in the older operation".format(data.get("mode")))
    axes = graph.constant(layer, 2) if len(layer.find("input")) > 2 else np.arange(len(whole))
    given, own = graph.constant(layer, 1).astype(np.float64), whole[axes]
    by_size = data.get("shape_calculation_mode") == "sizes"
    target, scales = (given, given / own) if by_size else (np.floor(own * given + 1e-5), given)
    graph.set_constants(layer, 1, [target.astype(np.int64), scales.astype(np.float32), axes.astype(np.int64)])
    layer.set("version", "opset4")


def _none(graph: IrGraph, layer: Any) -> None:
    raise NcsError("there is no older form of it")


_STEPS: dict[str, Callable[[IrGraph, Any], None]] = {
    "MaxPool-8": _max_pool,
    "SoftMax-8": _softmax,
    "Slice-8": _slice,
    "Gather-8": _older(7),
    "TopK-11": _older(3, ("stable",)),
    "Interpolate-11": _interpolate,
    "Pad-12": _older(1),
}
