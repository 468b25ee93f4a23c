"""An ONNX graph during conversion to a Caffe net: the interface the operators read from and write to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2

if TYPE_CHECKING:
    import onnx

_LARGE_BYTES = 1 << 20
PRODUCER = "caffe2ncs"  # our exporter stores the Caffe layer's name in doc_string


class Unsupported(Exception):
    """Caffe has no layer for this operator; the text gives the reason."""


def require(condition: Any, text: str, *values: Any) -> None:
    """Raise Unsupported(text % values) unless `condition` is true."""
    if not condition:
        raise Unsupported(text % values)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node as {name: value}."""
    from onnx import helper

    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


class Graph:
    """An ONNX model and the NetParameter built from it: `param` and `weights` ({layer: arrays}).

    Operators read `constants` (name -> array), `shapes` (name -> tuple), `blobs` (tensor -> blob), `consumed` (tensors
    that a node or the caller reads) and `opset`. Axes of unknown size, such as the batch, have size 1.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        model, self.constants = load(path)
        self.path, self.proto, self.shapes = path, model.graph, shapes_of(model)
        self.opset, self.has_layer_names = opset_of(model), model.producer_name == PRODUCER
        self.consumed = {name for node in self.proto.node for name in node.input} | {v.name for v in self.proto.output}
        self.param = caffe_pb2.NetParameter(name=self.proto.name or "net")
        self.weights: dict[str, list[Any]] = {}
        self.blobs: dict[str, Any] = {}
        self.names: set[str] = set()
        self.aliases: dict[str, Any] = {}
        for item in self.proto.input:
            if item.name not in self.constants:
                self._input(item.name)

    def _input(self, name):
        layer = self.param.layer.add(type="Input", name=self._fresh(name), top=[name])
        layer.input_param.shape.add().dim.extend(self.shapes.get(name, ()))
        self.blobs[name] = name

    def constant(self, name: str) -> np.ndarray:
        """Return the array of a constant tensor."""
        require(name in self.constants, "expected a constant, '%s' is computed", name)
        return self.constants[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor; all sizes are positive."""
        shape = self.shapes.get(name)
        known = shape is not None and all(size > 0 for size in shape)
        require(known, "the shape of '%s' is not in the file and cannot be inferred", name)
        assert shape is not None
        return shape

    def add(
        self,
        layer_type: str,
        node: onnx.NodeProto,
        bottoms: Sequence[str] | None = None,
        top: str | None = None,
        arrays: Sequence[np.ndarray] = (),
        suffix: str = "",
    ) -> caffe_pb2.LayerParameter:
        """Add a layer for `node`; it gets the name of the original Caffe layer if our exporter stored it."""
        bottoms = [node.input[0]] if bottoms is None else bottoms
        require(all(name in self.blobs for name in bottoms), "%s is constant", ", ".join(bottoms))
        top = top or node.output[0]
        name = self._fresh(((node.doc_string if self.has_layer_names else "") or node.output[0]) + suffix)
        layer = self.param.layer.add(type=layer_type, name=name, bottom=[self.blobs[b] for b in bottoms], top=[top])
        self.blobs[top] = top
        if arrays:
            self.weights[name] = [np.asarray(array, np.float32, order="C") for array in arrays]
            self.aliases[name] = {name, node.name + suffix, node.output[0].removesuffix("_Y") + suffix}
        return layer

    def cut(self, node: onnx.NodeProto, source: str, axis: int, first: int, count: int, total: int, top: str) -> None:
        """Add a Slice that keeps `count` of the `total` indices of an axis, starting at `first`."""
        layer = self.add("Slice", node, [source], top=top, suffix="@cut")
        slice_points = [end for end in (first, first + count) if 0 < end < total]
        tops = [top] if not first else [top + "@before", top]
        layer.top[:] = tops + [top + "@after"] * (first + count < total)
        layer.slice_param.axis = axis
        layer.slice_param.slice_point.extend(slice_points)

    def silence(self) -> None:
        """Add a Silence layer for unused tops, so that the net has the same outputs as the graph."""
        outputs = {item.name for item in self.proto.output}
        bottoms = {name for layer in self.param.layer for name in layer.bottom}
        tops = dict.fromkeys(top for layer in self.param.layer if layer.type != "Input" for top in layer.top)
        unused = [top for top in tops if top not in bottoms and top not in outputs]
        if unused:
            self.param.layer.add(type="Silence", name=self._fresh("silence"), bottom=unused)

    def _fresh(self, name):
        unused, number = name, 2
        while unused in self.names:
            unused, number = f"{name}_{number}", number + 1
        self.names.add(unused)
        return unused


def load(path: str | os.PathLike) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Load and check an ONNX file, fold constants and infer shapes.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    model : ModelProto
        Unknown input dimensions, such as the batch, are set to 1.
    constants : dict
        Name -> array. Large constants are only here, not in the model.

    Raises
    ------
    CaffeError
        If the file is not a valid ONNX model.
    """
    import onnx

    try:
        onnx.checker.check_model(os.fspath(path))
        model = onnx.load(os.fspath(path))
        _check_names(model)
        constants = _extract_constants(model)
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
    except Exception as error:  # onnx and protobuf raise errors without a common base
        raise CaffeError(f"{path}: not an ONNX model that can be read: {error}") from error
    return model, constants


def _check_names(model):
    """Reject names that are not valid UTF-8; protobuf returns them as bytes or raises."""
    graph = model.graph
    names = [graph.name, *(item.name for part in (graph.input, graph.output, graph.initializer) for item in part)]
    for node in graph.node:
        names += [node.name, node.op_type, node.doc_string, *node.input, *node.output]
    invalid = [name for name in names if not isinstance(name, str)]
    if invalid:
        raise ValueError(f"names that are not UTF-8: {invalid[:5]!r}")


def _extract_constants(model):
    """Return the initializers as {name: array}; large ones are reduced to their shape in the model."""
    from onnx import numpy_helper

    constants = {}
    for item in model.graph.initializer:
        constants[item.name] = numpy_helper.to_array(item)
        if constants[item.name].nbytes > _LARGE_BYTES:
            for field in ("raw_data", "float_data", "double_data", "int32_data", "int64_data"):
                item.ClearField(field)
    return constants


def opset_of(model: onnx.ModelProto) -> int:
    """Return the opset version of the standard ONNX operators."""
    return max([item.version for item in model.opset_import if item.domain in ("", "ai.onnx")], default=1)


def shapes_of(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the known tensor shapes as {name: shape}."""
    values = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in values
        if value.type.tensor_type.HasField("shape")
    }
    shapes.update((item.name, tuple(item.dims)) for item in model.graph.initializer)
    return shapes


def _fold(model, constants):
    """Replace nodes by constants in `model` and `constants` if their inputs are constant; return whether any was."""
    from onnx import numpy_helper

    shapes, kept, opset = shapes_of(model), [], opset_of(model)
    for node in model.graph.node:
        inputs = [name for name in node.input if name]
        if node.op_type == "Shape" and not node.attribute and all(shapes.get(inputs[0], [0])):
            arrays = [np.array(shapes[inputs[0]], np.int64)]
        elif (inputs or node.op_type == "Constant") and all(name in constants for name in inputs):
            arrays = _evaluate(node, {name: constants[name] for name in inputs}, opset)
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
    """Compute the outputs of one node with ONNX's reference evaluator."""
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
