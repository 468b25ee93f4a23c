"""Converts an IR v11 to v10 for the Myriad compiler: replaces newer operations by the older versions they extend.

Sources: OpenVINO's operation sets 1 to 12 (docs.openvino.ai, "Operation Sets"); the compiler of 2021.4.2 supports sets
1 to 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ncs.errors import NcsError
from ncs.myriad.ir_graph import IrGraph, sizes

NEWEST = 7
# Exceptions for elements, attributes and numbers that are missing or impossible.
DAMAGED = (
    *(ValueError, LookupError, AttributeError, TypeError, OverflowError, StopIteration, MemoryError),
    *(EOFError, RecursionError),
)


def downgrade(path: str, folder: str) -> str:
    """Convert `path` (an IR v11 with its .bin) to v10 in `folder`; return the new path.

    Raises NcsError that lists every operation without an older version, or says that the file is damaged.
    """
    try:
        return _downgrade(path, folder)
    except DAMAGED as error:
        raise NcsError(f"{path}: not an IR, or damaged: {type(error).__name__}: {error}") from error


def _downgrade(path: str, folder: str) -> str:
    graph = IrGraph(path)
    faults = []
    for layer in list(graph.layers):
        if _opset(layer) > NEWEST:
            operation = f"{layer.get('type')}-{_opset(layer)}"
            try:
                _CONVERTERS.get(operation, _unsupported)(graph, layer)
            except NcsError as error:
                faults.append(f'  layer "{layer.get("name")}" ({operation}): {error}')
    if faults:
        raise NcsError(
            "\n".join(
                [f"{path}: {len(faults)} operation(s) are newer than the Myriad compiler (OpenVINO 2021.4.2):", *faults]
            )
        )
    _name_ports(graph)
    return graph.write(folder)


def _name_ports(graph: IrGraph) -> None:
    """Name the layers of inputs and outputs after their tensors, because v10 has no tensor names."""
    layers = [(layer, "") for layer in graph.layers if layer.get("type") == "Parameter"]
    results = [layer for layer in graph.layers if layer.get("type") == "Result"]
    layers += [(graph.producer(layer, 0), layer.get("name", "").split("/sink_port_")[0]) for layer in results]
    for layer, output in layers:  # a tensor that is an output has its name among others
        ports = layer.findall("output/port")
        names = ports[0].get("names", "").split(",") if len(ports) == 1 else [""]
        name = output if output in names else names[0]
        if name and name != layer.get("name"):
            for other in graph.layers:
                if other.get("name") == name:
                    other.set("name", name + "/inner")
            layer.set("name", name)


def _opset(layer: Any) -> int:
    """Return 8 for opset8; 0 without an operation set."""
    digits = layer.get("version", "").replace("opset", "")
    return int(digits) if digits.isdigit() else 0


def _set_version(version: int, drop: tuple[str, ...] = ()) -> Callable[[IrGraph, Any], None]:
    """Return a converter to set `version` that removes the attributes `drop`."""

    def convert(graph: IrGraph, layer: Any) -> None:
        layer.set("version", f"opset{version}")
        for name in drop:
            layer.find("data").attrib.pop(name, None)

    return convert


def _max_pool(graph: IrGraph, layer: Any) -> None:
    """Set 8 added dilations and a second output, the indices of the maxima."""
    outputs = layer.find("output")
    index_ports = list(outputs)[1:]
    if any(
        edge.get("from-layer") == layer.get("id") and edge.get("from-port") == port.get("id")
        for edge in graph.edges
        for port in index_ports
    ):
        raise NcsError("the indices of the maxima are used, which the older operation does not return")
    if set(layer.find("data").get("dilations", "1").replace(" ", "").split(",")) != {"1"}:
        raise NcsError("the older operation does not support dilations")
    for port in index_ports:
        outputs.remove(port)
    _set_version(1, ("dilations", "index_element_type", "axis"))(graph, layer)


def _softmax(graph: IrGraph, layer: Any) -> None:
    """Set 8 allows negative axes."""
    data = layer.find("data")
    data.set("axis", str(int(data.get("axis", "1")) % len(sizes(layer))))
    layer.set("version", "opset1")


def _slice(graph: IrGraph, layer: Any) -> None:
    """Slice of set 8 lists axes; StridedSlice has values for all axes, and masks for those to ignore."""
    ports, rank = len(layer.find("input")), len(sizes(layer))
    bounds = [graph.constant(layer, port) for port in (1, 2, 3)]
    axes = graph.constant(layer, 4) if ports > 4 else np.arange(len(bounds[0]))
    full_bounds, ignored = [np.full(rank, value, np.int64) for value in (0, 0, 1)], np.ones(rank, int)
    for full, values in zip(full_bounds, bounds):
        full[axes] = values
    ignored[axes] = 0
    graph.set_constants(layer, 1, full_bounds)
    mask = ",".join(map(str, ignored))
    layer.set("type", "StridedSlice")
    layer.set("version", "opset1")
    layer.insert(
        0,
        ElementTree.Element(
            "data", begin_mask=mask, end_mask=mask, new_axis_mask="", shrink_axis_mask="", ellipsis_mask=""
        ),
    )


def _interpolate(graph: IrGraph, layer: Any) -> None:
    """Set 11 takes sizes or scales; set 4 takes both and an attribute that selects one."""
    data, shape = layer.find("data"), sizes(layer)
    if data.get("mode") not in ("nearest", "linear", "linear_onnx", "cubic"):
        raise NcsError(f"the older operation does not support mode '{data.get('mode')}'")
    axes = graph.constant(layer, 2) if len(layer.find("input")) > 2 else np.arange(len(shape))
    values, old_sizes = graph.constant(layer, 1).astype(np.float64), shape[axes]
    by_size = data.get("shape_calculation_mode") == "sizes"
    new_sizes, scales = (values, values / old_sizes) if by_size else (np.floor(old_sizes * values + 1e-5), values)
    graph.set_constants(layer, 1, [new_sizes.astype(np.int64), scales.astype(np.float32), axes.astype(np.int64)])
    layer.set("version", "opset4")


def _unsupported(graph: IrGraph, layer: Any) -> None:
    raise NcsError("it has no older version")


_CONVERTERS: dict[str, Callable[[IrGraph, Any], None]] = {
    "MaxPool-8": _max_pool,
    "SoftMax-8": _softmax,
    "Slice-8": _slice,
    "Gather-8": _set_version(7),
    "TopK-11": _set_version(3, ("stable",)),
    "Interpolate-11": _interpolate,
    "Pad-12": _set_version(1),
}
