"""ONNX files of the operators that the zoo's nets use (opset 7 to 12), as Caffe nets: prototxt and caffemodel."""

from __future__ import annotations

import os

import numpy as np

from agegender.errors import AgeGenderError
from agegender.zoo.onnx_operators import OPERATORS, Refused
from caffe.proto import caffe_pb2


class Converter:
    """An ONNX graph on its way to a NetParameter: `param` and `weights` ({layer: arrays}) grow node by node.

    Operators read `self.constants` (name -> array), `self.shapes` (name -> tuple) and `self.blobs` (tensor -> blob).
    """

    def __init__(self, path):
        import onnx
        from onnx import numpy_helper, shape_inference

        try:
            model = onnx.load(os.fspath(path))
            onnx.checker.check_model(model)
        except Exception as error:  # onnx raises protobuf's and its own errors, which share no base
            raise AgeGenderError("%s: not an ONNX model that can be read: %s" % (path, error)) from error
        self.path, self.graph = path, shape_inference.infer_shapes(model).graph
        self.constants = {item.name: numpy_helper.to_array(item) for item in self.graph.initializer}
        values = [*self.graph.input, *self.graph.value_info, *self.graph.output]
        self.shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}
        self.shapes.update({name: array.shape for name, array in self.constants.items()})
        self.param = caffe_pb2.NetParameter(name=self.graph.name or "net")
        self.weights, self.blobs, self.names = {}, {}, set()

    def convert(self):
        """Add every node; all that cannot be said in Caffe's layers is told at once (AgeGenderError)."""
        self._inputs()
        faults = []
        for node in self.graph.node:
            operator = OPERATORS.get(node.op_type)
            try:
                if operator is None:
                    raise Refused("no such operator is converted (%s are)" % ", ".join(sorted(OPERATORS)))
                operator(self, node)
            except Refused as fault:
                faults.append("%s '%s': %s" % (node.op_type, node.name or node.output[0], fault))
                for output in node.output:
                    self.blobs[output] = output
        if faults:
            raise AgeGenderError("%s cannot be converted:\n  %s" % (self.path, "\n  ".join(faults)))
        return self

    def _inputs(self):
        for item in self.graph.input:
            if item.name in self.constants:
                continue
            shape = self.shapes[item.name]
            layer = self.param.layer.add(type="Input", name=self._fresh(item.name), top=[item.name])
            layer.input_param.shape.add().dim.extend(size or 1 for size in shape)
            self.blobs[item.name] = item.name

    def add(self, kind, node, bottoms=None, top=None, arrays=(), suffix=""):
        """A layer of `kind` for `node`; its name is the Caffe layer's where our own export noted it."""
        bottoms = [node.input[0]] if bottoms is None else bottoms
        top = top or node.output[0]
        name = self._fresh((node.doc_string or node.output[0]) + suffix)
        layer = self.param.layer.add(type=kind, name=name, bottom=[self.blobs[b] for b in bottoms], top=[top])
        self.blobs[top] = top
        if arrays:
            self.weights[name] = [np.ascontiguousarray(array, np.float32) for array in arrays]
        return layer

    def _fresh(self, name):
        chosen, number = name, 2
        while chosen in self.names:
            chosen, number = "%s_%d" % (name, number), number + 1
        self.names.add(chosen)
        return chosen


def layers_of(path, net):
    """{layer of `net`: arrays} of an ONNX file of that net: by name if the names are the same, else in order."""
    from agegender.zoo.build import deploy_net

    found = Converter(path).convert().weights
    wanted = list(deploy_net(net).params)
    if len(found) != len(wanted):
        raise AgeGenderError("%s: %d layers with weights, '%s' has %d" % (path, len(found), net.name, len(wanted)))
    return found if set(found) == set(wanted) else dict(zip(wanted, found.values()))


def write(path, caffemodel):
    """Convert an ONNX file; returns the paths of the prototxt (beside the caffemodel) and the caffemodel."""
    from caffe.files import write_bytes
    from caffe.proto import text
    from caffe.snapshot import write_caffemodel

    converted = Converter(path).convert()
    prototxt = os.path.splitext(caffemodel)[0] + ".prototxt"
    write_bytes(prototxt, text.format(converted.param))
    write_caffemodel(caffemodel, converted.param, converted.weights)
    return [prototxt, caffemodel]
