"""Convert ONNX files with the operators of the zoo's nets to Caffe nets: prototxt and caffemodel."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from caffe.convert.onnx_import.graph import Graph, Unsupported, require
from caffe.convert.onnx_import.operators import OPERATORS
from caffe.errors import CaffeError


def convert(path: str | os.PathLike) -> Graph:
    """Convert an ONNX file to layers; raise a CaffeError that lists every unsupported node."""
    graph, errors = Graph(path), []
    for node in graph.proto.node:
        try:
            operator = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
            require(operator is not None, "unsupported operator (supported: %s)", ", ".join(sorted(OPERATORS)))
            assert operator is not None
            operator(graph, node)
        except Unsupported as error:
            errors.append(f"{node.op_type} '{node.name or node.output[0]}': {error}")
            graph.blobs.update((output, output) for output in node.output)
    constant_outputs = [item.name for item in graph.proto.output if item.name in graph.constants]
    errors += [f"output '{name}' is constant" for name in constant_outputs]
    if errors:
        raise CaffeError("{} cannot be converted:\n  {}".format(path, "\n  ".join(errors)))
    graph.silence()
    return graph


def layers_of(path: str | os.PathLike, layers: Sequence[str], name: str) -> dict[str, list[np.ndarray]]:
    """Return the weights of an ONNX file as {layer: arrays} for the given Caffe layers.

    Layers are matched by name if the names are unique, else by order.

    Parameters
    ----------
    path : str
    layers : sequence of str
        The layers with weights of the Caffe net, in order.
    name : str
        The net's name, for error messages.
    """
    converted = convert(path)
    if len(converted.weights) != len(layers):
        raise CaffeError(f"{path}: {len(converted.weights)} layers with weights, '{name}' has {len(layers)}")
    matches = {layer: [name for name, names in converted.aliases.items() if layer in names] for layer in layers}
    if all(len(names) == 1 for names in matches.values()) and len({n[0] for n in matches.values()}) == len(layers):
        return {layer: converted.weights[names[0]] for layer, names in matches.items()}
    return dict(zip(layers, converted.weights.values()))


def write(path: str | os.PathLike, caffemodel: str) -> list[str]:
    """Convert an ONNX file; return the paths of the prototxt (in the same folder) and the caffemodel."""
    from caffe.proto import text
    from caffe.utils.atomic_io import write_bytes
    from caffe.weights.snapshot import write_caffemodel

    converted = convert(path)
    prototxt = os.path.splitext(caffemodel)[0] + ".prototxt"
    write_bytes(prototxt, text.format(converted.param))
    write_caffemodel(caffemodel, converted.param, converted.weights)
    return [prototxt, caffemodel]
