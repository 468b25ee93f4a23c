"""An ONNX graph on its way to a Caffe net: what operators read of it and write into it."""

from __future__ import annotations

import os

import numpy as np

from agegender.errors import AgeGenderError
from caffe.proto import caffe_pb2

_LARGE = 1 << 20  # bytes
OURS = "caffe2ncs"  # producer whose nodes note the layer they came from


class Refused(Exception):
    """Caffe has no layer for this; the text says what."""


def need(condition, text, *values):
    """Raise Refused unless `condition`."""
    if not condition:
        raise Refused(text % values)


def attributes(node):
    """{name: value} of a node."""
    from onnx import helper

    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


class Graph:
    """A model file as a NetParameter that grows: `param` and `weights` ({layer: arrays}).

    Operators read `constants` (name -> array), `shapes` (name -> tuple), `blobs` (tensor -> blob), `read` (names that some
    node or the caller reads) and `opset`. Axes of unknown size, as a batch is, count as 1.
    """

    def __init__(self, path):
        model, self.constants = load(path)
        self.path, self.graph, self.shapes = path, model.graph, shapes_of(model)
        self.opset, self.noted = opset_of(model), model.producer_name == OURS
        self.read = {name for node in self.graph.node for name in node.input} | {v.name for v in self.graph.output}
        self.param = caffe_pb2.NetParameter(name=self.graph.name or "net")
        self.weights, self.blobs, self.names, self.spellings = {}, {}, set(), {}
        for item in self.graph.input:
            if item.name not in self.constants:
                self._input(item.name)

    def _input(self, name):
        layer = self.param.layer.add(type="Input", name=self._fresh(name), top=[name])
        layer.input_param.shape.add().dim.extend(self.shapes.get(name, ()))
        self.blobs[name] = name

    def constant(self, name):
        """The array of a tensor that is not computed."""
        need(name in self.constants, "'%s' is computed; a constant is due", name)
        return self.constants[name]

    def shape(self, name):
        """Shape of a tensor as a tuple of positive sizes."""
        shape = self.shapes.get(name)
        known = shape is not None and all(size > 0 for size in shape)
        need(known, "the size of '%s' is not in the file and does not follow from it", name)
        return shape

    def add(self, kind, node, bottoms=None, top=None, arrays=(), suffix=""):
        """A layer of `kind` for `node`; its name is the Caffe layer's where our own export noted it."""
        bottoms = [node.input[0]] if bottoms is None else bottoms
        need(all(name in self.blobs for name in bottoms), "%s is constant", ", ".join(bottoms))
        top = top or node.output[0]
        name = self._fresh(((node.doc_string if self.noted else "") or node.output[0]) + suffix)
        layer = self.param.layer.add(type=kind, name=name, bottom=[self.blobs[b] for b in bottoms], top=[top])
        self.blobs[top] = top
        if arrays:
            self.weights[name] = [np.asarray(array, np.float32, order="C") for array in arrays]
            self.spellings[name] = {name, node.name + suffix, node.output[0].removesuffix("_Y") + suffix}
        return layer

    def cut(self, node, source, axis, first, count, total, top):
        """`count` of the `total` places of `source` from `first` on along an axis: a Slice whose other parts are silenced."""
        layer = self.add("Slice", node, [source], top=top, suffix="@cut")
        ends = [end for end in (first, first + count) if 0 < end < total]
        tops = [top] if not first else [top + "@before", top]
        layer.top[:] = tops + [top + "@after"] * (first + count < total)
        layer.slice_param.axis = axis
        layer.slice_param.slice_point.extend(ends)

    def silence(self):
        """Give what no layer reads and no output names to Silence, so that the net's outputs are the graph's."""
        wanted = {item.name for item in self.graph.output}
        read = {name for layer in self.param.layer for name in layer.bottom}
        made = dict.fromkeys(top for layer in self.param.layer if layer.type != "Input" for top in layer.top)
        unread = [top for top in made if top not in read and top not in wanted]
        if unread:
            self.param.layer.add(type="Silence", name=self._fresh("silence"), bottom=unread)

    def _fresh(self, name):
        chosen, number = name, 2
        while chosen in self.names:
            chosen, number = "%s_%d" % (name, number), number + 1
        self.names.add(chosen)
        return chosen


def load(path):
    """(ModelProto, {name: array} of its constants) of the file `path`, checked.

    Nodes that stand on constants and known sizes are computed and gone; a free batch is 1; every shape that follows from
    the inputs' is there. Large constants are in the dict only.
    """
    import onnx

    try:
        onnx.checker.check_model(os.fspath(path))
        model = onnx.load(os.fspath(path))
        _check_names(model)
        constants = _taken(model)
        for item in model.graph.input:
            for dim in item.type.tensor_type.shape.dim:
                if not dim.HasField("dim_value"):
                    dim.dim_value = 1
        for item in model.graph.output:
            item.type.tensor_type.ClearField("shape")
        del model.graph.value_info[:]
        model = onnx.shape_inference.infer_shapes(model)
        while _fold(model, constants):
            model = onnx.shape_inference.infer_shapes(model)
    except Exception as error:  # onnx raises protobuf's and its own errors, which share no base
        raise AgeGenderError(f"{path}: not an ONNX model that can be read: {error}") from error
    return model, constants


def _check_names(model):
    """Refuse names that are no text; protobuf gives them as bytes, or raises."""
    graph = model.graph
    names = [graph.name, *(item.name for part in (graph.input, graph.output, graph.initializer) for item in part)]
    for node in graph.node:
        names += [node.name, node.op_type, node.doc_string, *node.input, *node.output]
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise ValueError(f"names that are no UTF-8: {wrong[:5]!r}")


def _taken(model):
    """{name: array} of a ModelProto's initializers; the large ones keep their shape only."""
    from onnx import numpy_helper

    constants = {}
    for item in model.graph.initializer:
        constants[item.name] = numpy_helper.to_array(item)
        if constants[item.name].nbytes > _LARGE:
            for field in ("raw_data", "float_data", "double_data", "int32_data", "int64_data"):
                item.ClearField(field)
    return constants


def opset_of(model):
    """Version of ONNX's own operators in a ModelProto."""
    return max([item.version for item in model.opset_import if item.domain in ("", "ai.onnx")], default=1)


def shapes_of(model):
    """{name: shape} of a ModelProto's tensors, as far as it tells."""
    values = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in values
        if value.type.tensor_type.HasField("shape")
    }
    shapes.update((item.name, tuple(item.dims)) for item in model.graph.initializer)
    return shapes


def _fold(model, constants):
    """Replace nodes by the constants they give, in both arguments; whether there were any."""
    from onnx import numpy_helper

    shapes, kept, opset = shapes_of(model), [], opset_of(model)
    for node in model.graph.node:
        given = [name for name in node.input if name]
        if node.op_type == "Shape" and not node.attribute and all(shapes.get(given[0], [0])):
            arrays = [np.array(shapes[given[0]], np.int64)]
        elif (given or node.op_type == "Constant") and all(name in constants for name in given):
            arrays = _evaluate(node, {name: constants[name] for name in given}, opset)
        else:
            kept.append(node.SerializeToString())
            continue
        for name, array in zip(node.output, arrays):
            constants[name] = np.asarray(array)
            model.graph.initializer.append(numpy_helper.from_array(constants[name], name))
    folded = len(kept) < len(model.graph.node)
    del model.graph.node[:]
    for node in kept:
        model.graph.node.add().ParseFromString(node)
    return folded


def _evaluate(node, feeds, opset):
    """Outputs of one node by ONNX's own reference."""
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    if node.op_type == "Constant" and node.attribute[0].name == "value":
        return [numpy_helper.to_array(node.attribute[0].t)]
    values = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in feeds.items()
    ]
    graph = helper.make_graph(
        [node], "fold", values, [helper.make_empty_tensor_value_info(name) for name in node.output]
    )
    return ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])).run(None, feeds)
