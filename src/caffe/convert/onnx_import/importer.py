"""ONNX files of the operators that the zoo's nets use, as Caffe nets: prototxt and caffemodel."""

from __future__ import annotations

import os

from agegender.errors import AgeGenderError
from caffe.convert.onnx_import.graph import Graph, Refused, need
from caffe.convert.onnx_import.operators import OPERATORS


def convert(path):
    """A Graph with every node of the file as layers; what cannot be said in Caffe is told at once (AgeGenderError)."""
    graph, faults = Graph(path), []
    for node in graph.graph.node:
        try:
            operator = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
            need(operator is not None, "no such operator is converted (%s are)", ", ".join(sorted(OPERATORS)))
            operator(graph, node)
        except Refused as fault:
            faults.append(f"{node.op_type} '{node.name or node.output[0]}': {fault}")
            graph.blobs.update((output, output) for output in node.output)
    fixed = [item.name for item in graph.graph.output if item.name in graph.constants]
    faults += [f"output '{name}' is constant" for name in fixed]
    if faults:
        raise AgeGenderError("{} cannot be converted:\n  {}".format(path, "\n  ".join(faults)))
    graph.silence()
    return graph


def layers_of(path, net):
    """{layer of `net`: arrays} of an ONNX file of that net: by name where the names tell, else in order."""
    from agegender.zoo.assemble import deploy_net

    found = convert(path)
    wanted = list(deploy_net(net).params)
    if len(found.weights) != len(wanted):
        raise AgeGenderError(
            "%s: %d layers with weights, '%s' has %d" % (path, len(found.weights), net.name, len(wanted))
        )
    named = {layer: [name for name, spelled in found.spellings.items() if layer in spelled] for layer in wanted}
    if all(len(names) == 1 for names in named.values()) and len({names[0] for names in named.values()}) == len(wanted):
        return {layer: found.weights[names[0]] for layer, names in named.items()}
    return dict(zip(wanted, found.weights.values()))


def write(path, caffemodel):
    """Convert an ONNX file; returns the paths of the prototxt (beside the caffemodel) and the caffemodel."""
    from caffe.proto import text
    from caffe.utils.atomic_io import write_bytes
    from caffe.weights.snapshot import write_caffemodel

    converted = convert(path)
    prototxt = os.path.splitext(caffemodel)[0] + ".prototxt"
    write_bytes(prototxt, text.format(converted.param))
    write_caffemodel(caffemodel, converted.param, converted.weights)
    return [prototxt, caffemodel]
