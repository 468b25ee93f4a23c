"""One function per ONNX operator: it takes (graph, node) and adds equivalent Caffe layers, or raises Unsupported."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from caffe.convert.onnx_import import rearranging, windows
from caffe.convert.onnx_import.graph import Graph, attributes, require
from caffe.proto import caffe_pb2

if TYPE_CHECKING:
    import onnx

SUM, PROD, MAX, DIV = (caffe_pb2.EltwiseParameter.EltwiseOp.Value(name) for name in ("SUM", "PROD", "MAX", "DIV"))


def gemm(graph: Graph, node: onnx.NodeProto) -> None:
    """Gemm: an InnerProduct."""
    attrs, weight = attributes(node), graph.constant(node.input[1])
    require(not attrs.get("transA", 0), "transA is not supported")
    weight = (weight if attrs.get("transB", 0) else weight.T) * np.float32(attrs.get("alpha", 1.0))
    bias = []
    if len(node.input) > 2:
        offset = graph.constant(node.input[2]) * np.float32(attrs.get("beta", 1.0))
        require(offset.size in (1, len(weight)), "a bias of shape %s for %d outputs", offset.shape, len(weight))
        bias = [np.broadcast_to(offset.reshape(-1), len(weight))]
    _inner_product(graph, node, weight, bias)


def matmul(graph: Graph, node: onnx.NodeProto) -> None:
    """MatMul: an InnerProduct without bias."""
    weight = graph.constant(node.input[1])
    require(weight.ndim == 2, "expected a constant matrix, received shape %s", weight.shape)
    _inner_product(graph, node, weight.T, [])


def _inner_product(graph, node, weight, bias):
    axes = len(graph.shape(node.input[0]))
    p = graph.add("InnerProduct", node, arrays=[weight, *bias]).inner_product_param
    p.num_output, p.bias_term, p.axis = len(weight), bool(bias), axes - 1


def relu(graph: Graph, node: onnx.NodeProto) -> None:
    """Relu and LeakyRelu: a ReLU."""
    layer = graph.add("ReLU", node)
    if node.op_type == "LeakyRelu":
        layer.relu_param.negative_slope = attributes(node).get("alpha", 0.01)


def prelu(graph: Graph, node: onnx.NodeProto) -> None:
    """PRelu: a PReLU with shared or per-channel slopes."""
    slope, shape = graph.constant(node.input[1]), graph.shape(node.input[0])
    shared = slope.size == 1
    per_channel = len(shape) > 1 and _broadcast_axes(slope, shape) == (1, 2)
    require(shared or per_channel, "slopes of shape %s for a tensor of %s", slope.shape, shape)
    graph.add("PReLU", node, arrays=[slope.reshape(() if shared else -1)]).prelu_param.channel_shared = shared


def elu(graph: Graph, node: onnx.NodeProto) -> None:
    """Elu: an ELU."""
    graph.add("ELU", node).elu_param.alpha = attributes(node).get("alpha", 1.0)


def selu(graph: Graph, node: onnx.NodeProto) -> None:
    """Selu: an ELU and a Power."""
    attrs, elu_top = attributes(node), node.output[0] + "@elu"
    graph.add("ELU", node, top=elu_top).elu_param.alpha = attrs.get("alpha", 1.67326319217681884765625)
    _power(graph, node, [elu_top], scale=attrs.get("gamma", 1.05070102214813232421875), suffix="@scale")


def clip(graph: Graph, node: onnx.NodeProto) -> None:
    """Clip: a ReLU or a Clip."""
    attrs = attributes(node)
    limits = [attrs.get("min"), attrs.get("max")]
    for index, name in enumerate(node.input[1:3]):
        limits[index] = float(graph.constant(name)) if name else None
    low, high = limits
    if low == 0 and high in (None, math.inf):
        graph.add("ReLU", node)
        return
    largest = float(np.finfo(np.float32).max)
    p = graph.add("Clip", node).clip_param
    p.min, p.max = (-largest if low is None else low), (largest if high is None else high)


def without_parameters(layer_type: str) -> Callable[[Graph, onnx.NodeProto], None]:
    """Return the function of an operator that is a Caffe layer without parameters."""

    def add(graph, node):
        graph.add(layer_type, node)

    return add


def _power(graph, node, bottoms=None, power=1.0, scale=1.0, shift=0.0, suffix=""):
    p = graph.add("Power", node, bottoms, suffix=suffix).power_param
    p.power, p.scale, p.shift = power, scale, shift


def negative(graph: Graph, node: onnx.NodeProto) -> None:
    """Neg: a Power."""
    _power(graph, node, scale=-1.0)


def sqrt(graph: Graph, node: onnx.NodeProto) -> None:
    """Sqrt: a Power."""
    _power(graph, node, power=0.5)


def power(graph: Graph, node: onnx.NodeProto) -> None:
    """Pow with a constant exponent: a Power."""
    exponent = graph.constant(node.input[1])
    require(exponent.size == 1, "expected one exponent, received shape %s", exponent.shape)
    _power(graph, node, [node.input[0]], power=float(exponent.reshape(())))


def identity(graph: Graph, node: onnx.NodeProto) -> None:
    """Identity and Dropout: rename the tensor; at an output of the graph add a layer."""
    require(len([name for name in node.output if name in graph.consumed]) <= 1, "the mask is used")
    if node.output[0] in {item.name for item in graph.proto.output}:
        graph.add("Power", node, [node.input[0]])
    else:
        graph.blobs[node.output[0]] = graph.blobs[node.input[0]]
        graph.shapes[node.output[0]] = graph.shape(node.input[0])


def softmax(graph: Graph, node: onnx.NodeProto) -> None:
    """Softmax along one axis; before opset 13, ONNX treats all axes from `axis` on as one."""
    shape = graph.shape(node.input[0])
    axis = attributes(node).get("axis", 1 if graph.opset < 13 else -1) % len(shape)
    require(graph.opset >= 13 or math.prod(shape[axis + 1 :]) == 1, "several axes: %s from axis %d on", shape, axis)
    graph.add("Softmax", node).softmax_param.axis = axis


def lrn(graph: Graph, node: onnx.NodeProto) -> None:
    """LRN: an LRN."""
    attrs = attributes(node)
    require(attrs["size"] % 2, "expected an odd number of channels, received %d", attrs["size"])
    p = graph.add("LRN", node).lrn_param
    p.local_size, p.alpha = attrs["size"], attrs.get("alpha", 1e-4)
    p.beta, p.k = attrs.get("beta", 0.75), attrs.get("bias", 1.0)


def concat(graph: Graph, node: onnx.NodeProto) -> None:
    """Concat: a Concat."""
    constants = [name for name in node.input if name in graph.constants]
    require(not constants, "'%s' is constant", constants[0] if constants else "")
    axis = attributes(node)["axis"] % len(graph.shape(node.input[0]))
    graph.add("Concat", node, list(node.input)).concat_param.axis = axis


def batch_normalization(graph: Graph, node: onnx.NodeProto) -> None:
    """BatchNormalization: a BatchNorm and a Scale."""
    attrs = attributes(node)
    training = attrs.get("training_mode", 0) or len([o for o in node.output if o in graph.consumed]) > 1
    require(not training, "training mode is not supported")
    require(attrs.get("spatial", 1), "statistics per pixel are not supported")
    gamma, beta, mean, variance = (graph.constant(name) for name in node.input[1:])
    normalized = node.output[0] + "@normalized"
    layer = graph.add("BatchNorm", node, [node.input[0]], top=normalized, arrays=[mean, variance, np.ones(1)])
    layer.batch_norm_param.eps = attrs.get("epsilon", 1e-5)
    layer.batch_norm_param.use_global_stats = True
    graph.add("Scale", node, [normalized], arrays=[gamma, beta], suffix="@scale").scale_param.bias_term = True


def reshape(graph: Graph, node: onnx.NodeProto) -> None:
    """Reshape, Flatten, Squeeze and Unsqueeze; the output shape comes from shape inference."""
    before, after = graph.shape(node.input[0]), graph.shape(node.output[0])
    if len(after) == 2 and after[0] == before[0]:
        graph.add("Flatten", node, [node.input[0]])
        return
    dims = graph.add("Reshape", node, [node.input[0]]).reshape_param.shape.dim
    dims.extend([0 if before[:1] == after[:1] else after[0], *after[1:]] if after else [])


def arithmetic(graph: Graph, node: onnx.NodeProto) -> None:
    """Sum, Add, Sub, Mul, Div and Max: Eltwise for tensors, Power for a scalar, Scale or Bias for a constant array."""
    operator = node.op_type
    constants = [name for name in node.input if name in graph.constants]
    if not constants:
        _elementwise(graph, node, operator)
        return
    supported = len(node.input) == 2 and operator != "Max"
    require(supported, "%d inputs, of which %d are constant", len(node.input), len(constants))
    variable, array = next(name for name in node.input if name not in graph.constants), graph.constant(constants[0])
    is_first = node.input[0] == variable
    require(is_first or operator != "Div", "division of a constant by a tensor")
    if operator == "Div":
        array = 1 / array
    elif operator == "Sub":
        if not is_first:
            negative_top = node.output[0] + "@negative"
            graph.add("Power", node, [variable], top=negative_top, suffix="@negative").power_param.scale = -1
            graph.shapes[negative_top], variable = graph.shape(variable), negative_top
        array = -array if is_first else array
    _with_constant(graph, node, variable, array, operator in ("Mul", "Div"))


def _elementwise(graph, node, operator):
    shapes = [graph.shape(name) for name in node.input]
    if len(set(shapes)) > 1:
        rearranging.broadcast(graph, node, operator)
        return
    if operator == "Div":
        graph.add("Eltwise", node, list(node.input)).eltwise_param.operation = DIV
        return
    if len(node.input) == 1:
        graph.add("Power", node)
        return
    p = graph.add("Eltwise", node, list(node.input)).eltwise_param
    p.operation = PROD if operator == "Mul" else MAX if operator == "Max" else SUM
    if operator == "Sub":
        p.coeff.extend([1, -1])


def _with_constant(graph, node, variable, array, is_product):
    if array.size == 1:
        value = float(array.reshape(()))
        _power(graph, node, [variable], **({"scale": value} if is_product else {"shift": value}))
        return
    shape = graph.shape(variable)
    axes = _broadcast_axes(array, shape)
    if axes is None:
        rearranging.with_constant(graph, node, variable, array, is_product)
        return
    layer = graph.add("Scale" if is_product else "Bias", node, [variable], arrays=[array.reshape(shape[slice(*axes)])])
    p = layer.scale_param if is_product else layer.bias_param
    p.axis, p.num_axes = axes[0], axes[1] - axes[0]


def _broadcast_axes(array, shape):
    """Return (first, end) of the axes of `shape` that `array` covers when broadcast; None if not contiguous."""
    aligned = (1,) * (len(shape) - array.ndim) + array.shape
    covered = [axis for axis, size in enumerate(aligned) if size != 1]
    if len(aligned) != len(shape) or not covered:
        return None
    first, end = covered[0], covered[-1] + 1
    return (first, end) if aligned[first:end] == tuple(shape[first:end]) else None


def split(graph: Graph, node: onnx.NodeProto) -> None:
    """Split: a Slice."""
    attrs, shape = attributes(node), graph.shape(node.input[0])
    axis = attrs.get("axis", 0) % len(shape)
    sizes = [graph.shape(name)[axis] for name in node.output]
    require(sum(sizes) == shape[axis], "sizes %s do not add up to axis %d of %s", sizes, axis, shape)
    layer = graph.add("Slice", node, [node.input[0]])
    layer.slice_param.axis = axis
    layer.slice_param.slice_point.extend(np.cumsum(sizes)[:-1].tolist())
    layer.top[:] = node.output
    graph.blobs.update((name, name) for name in node.output)


def slice_(graph: Graph, node: onnx.NodeProto) -> None:
    """Slice with step 1: a Crop if an earlier blob has the output's shape, else one Slice per axis."""
    attrs, before, after = attributes(node), graph.shape(node.input[0]), graph.shape(node.output[0])
    starts = graph.constant(node.input[1]).tolist() if len(node.input) > 1 else list(attrs["starts"])
    axes = (
        graph.constant(node.input[3]).tolist() if len(node.input) > 3 else list(attrs.get("axes", range(len(starts))))
    )
    require(len(node.input) < 5 or set(graph.constant(node.input[4]).tolist()) == {1}, "steps other than 1")
    first = [0] * len(before)
    for axis, start in zip(axes, starts):
        first[axis] = min(start + before[axis] if start < 0 else start, before[axis])
    changed = [axis for axis in range(len(before)) if before[axis] != after[axis]]
    if not changed:
        graph.add("Power", node, [node.input[0]])
        return
    tops = [top for layer in graph.param.layer for top in layer.top]
    same_size = [top for top in tops if graph.shapes.get(top, ())[changed[0] :] == after[changed[0] :]]
    reference = next((top for top in same_size if len(graph.shapes[top]) == len(before)), None)
    if reference is not None:
        p = graph.add("Crop", node, [node.input[0], reference]).crop_param
        p.axis = changed[0]
        p.offset.extend(first[changed[0] :])
        return
    source = node.input[0]
    for axis in changed:
        top = node.output[0] + ("" if axis == changed[-1] else f"@cut{axis}")
        graph.cut(node, source, axis, first[axis], after[axis], before[axis], top)
        source = top


OPERATORS = {
    "Gemm": gemm, "MatMul": matmul, "Relu": relu, "LeakyRelu": relu, "PRelu": prelu, "Elu": elu, "Selu": selu,
    "Clip": clip, "Sigmoid": without_parameters("Sigmoid"), "Tanh": without_parameters("TanH"),
    "Abs": without_parameters("AbsVal"), "Exp": without_parameters("Exp"), "Log": without_parameters("Log"),
    "Neg": negative, "Sqrt": sqrt, "Pow": power, "Identity": identity, "Dropout": identity, "Softmax": softmax,
    "LRN": lrn, "Concat": concat, "BatchNormalization": batch_normalization, "Reshape": reshape, "Flatten": reshape,
    "Squeeze": reshape, "Unsqueeze": reshape, "Sum": arithmetic, "Add": arithmetic, "Sub": arithmetic,
    "Mul": arithmetic, "Div": arithmetic, "Max": arithmetic, "Slice": slice_, "Split": split,
    "Softplus": without_parameters("BNLL"),
    **rearranging.OPERATORS, **windows.OPERATORS,
}  # fmt: skip
