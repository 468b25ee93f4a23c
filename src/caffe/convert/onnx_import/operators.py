"""One function an ONNX operator: (converter, node) adds the Caffe layers that do the same, or raises Refused."""

from __future__ import annotations

import math

import numpy as np

from caffe.convert.onnx_import import windows
from caffe.convert.onnx_import.graph import attributes, need
from caffe.proto import caffe_pb2

SUM, PROD, MAX = (getattr(caffe_pb2.EltwiseParameter, name) for name in ("SUM", "PROD", "MAX"))


def gemm(c, node):
    given, weight = attributes(node), c.constant(node.input[1])
    need(not given.get("transA", 0), "transA")
    weight = (weight if given.get("transB", 0) else weight.T) * np.float32(given.get("alpha", 1.0))
    bias = []
    if len(node.input) > 2:
        added = c.constant(node.input[2]) * np.float32(given.get("beta", 1.0))
        need(added.size in (1, len(weight)), "adds %s to %d outputs", added.shape, len(weight))
        bias = [np.broadcast_to(added.reshape(-1), len(weight))]
    _inner_product(c, node, weight, bias)


def matmul(c, node):
    weight = c.constant(node.input[1])
    need(weight.ndim == 2, "with a constant of %s; a matrix is due", weight.shape)
    _inner_product(c, node, weight.T, [])


def _inner_product(c, node, weight, bias):
    axes = len(c.shape(node.input[0]))
    p = c.add("InnerProduct", node, arrays=[weight, *bias]).inner_product_param
    p.num_output, p.bias_term, p.axis = len(weight), bool(bias), axes - 1


def relu(c, node):
    layer = c.add("ReLU", node)
    if node.op_type == "LeakyRelu":
        layer.relu_param.negative_slope = attributes(node).get("alpha", 0.01)


def prelu(c, node):
    slope, shape = c.constant(node.input[1]), c.shape(node.input[0])
    shared = slope.size == 1
    need(shared or (len(shape) > 1 and _over(slope, shape) == (1, 2)), "slopes of %s for %s", slope.shape, shape)
    c.add("PReLU", node, arrays=[slope.reshape(() if shared else -1)]).prelu_param.channel_shared = shared


def elu(c, node):
    c.add("ELU", node).elu_param.alpha = attributes(node).get("alpha", 1.0)


def selu(c, node):
    given, middle = attributes(node), node.output[0] + "@elu"
    c.add("ELU", node, top=middle).elu_param.alpha = given.get("alpha", 1.67326319217681884765625)
    _power(c, node, [middle], scale=given.get("gamma", 1.05070102214813232421875), suffix="@scale")


def clip(c, node):
    given = attributes(node)
    ends = [given.get("min"), given.get("max")]
    for index, name in enumerate(node.input[1:3]):
        ends[index] = float(c.constant(name)) if name else None
    low, high = ends
    if low == 0 and high in (None, math.inf):
        c.add("ReLU", node)
        return
    largest = float(np.finfo(np.float32).max)
    p = c.add("Clip", node).clip_param
    p.min, p.max = (-largest if low is None else low), (largest if high is None else high)


def simple(kind):
    """An operator that is a Caffe layer without parameters."""

    def add(c, node):
        c.add(kind, node)

    return add


def _power(c, node, bottoms=None, power=1.0, scale=1.0, shift=0.0, suffix=""):
    p = c.add("Power", node, bottoms, suffix=suffix).power_param
    p.power, p.scale, p.shift = power, scale, shift


def negative(c, node):
    _power(c, node, scale=-1.0)


def root(c, node):
    _power(c, node, power=0.5)


def raised(c, node):
    exponent = c.constant(node.input[1])
    need(exponent.size == 1, "exponents of %s", exponent.shape)
    _power(c, node, [node.input[0]], power=float(exponent.reshape(())))


def same(c, node):
    """Identity and Dropout: another name for a tensor, but a layer where the graph ends."""
    need(len([name for name in node.output if name in c.read]) <= 1, "the mask is read")
    if node.output[0] in {item.name for item in c.graph.output}:
        c.add("Power", node, [node.input[0]])
    else:
        c.blobs[node.output[0]] = c.blobs[node.input[0]]
        c.shapes[node.output[0]] = c.shape(node.input[0])


def softmax(c, node):
    """Before opset 13 all axes from `axis` on were one; Caffe's goes along one axis at every place of the others."""
    shape = c.shape(node.input[0])
    axis = attributes(node).get("axis", 1 if c.opset < 13 else -1) % len(shape)
    need(c.opset >= 13 or math.prod(shape[axis + 1 :]) == 1, "of %s along all axes from %d on", shape, axis)
    c.add("Softmax", node).softmax_param.axis = axis


def lrn(c, node):
    given = attributes(node)
    need(given["size"] % 2, "over %d channels; an odd number is due", given["size"])
    p = c.add("LRN", node).lrn_param
    p.local_size, p.alpha, p.beta, p.k = (
        given["size"], given.get("alpha", 1e-4), given.get("beta", 0.75), given.get("bias", 1.0),
    )  # fmt: skip


def concat(c, node):
    fixed = [name for name in node.input if name in c.constants]
    need(not fixed, "of the constant '%s'", fixed[0] if fixed else "")
    axis = attributes(node)["axis"] % len(c.shape(node.input[0]))
    c.add("Concat", node, list(node.input)).concat_param.axis = axis


def batch_normalization(c, node):
    given = attributes(node)
    need(not given.get("training_mode", 0) and len([o for o in node.output if o in c.read]) <= 1, "that trains")
    need(given.get("spatial", 1), "of every place by itself")
    gamma, beta, mean, variance = (c.constant(name) for name in node.input[1:])
    middle = node.output[0] + "@normalized"
    layer = c.add("BatchNorm", node, [node.input[0]], top=middle, arrays=[mean, variance, np.ones(1)])
    layer.batch_norm_param.eps = given.get("epsilon", 1e-5)
    layer.batch_norm_param.use_global_stats = True
    c.add("Scale", node, [middle], arrays=[gamma, beta], suffix="@scale").scale_param.bias_term = True


def reshape(c, node):
    """Reshape, Flatten, Squeeze, Unsqueeze: the shape inference knows what comes out."""
    before, after = c.shape(node.input[0]), c.shape(node.output[0])
    if len(after) == 2 and after[0] == before[0]:
        c.add("Flatten", node, [node.input[0]])
        return
    dims = c.add("Reshape", node, [node.input[0]]).reshape_param.shape.dim
    dims.extend([0 if before[:1] == after[:1] else after[0], *after[1:]] if after else [])


def arithmetic(c, node):
    """Sum, Add, Sub, Mul, Div, Max: of tensors an Eltwise; with a number a Power; with a constant a Scale or Bias."""
    kind = node.op_type
    fixed = [name for name in node.input if name in c.constants]
    if not fixed:
        _elementwise(c, node, kind)
        return
    need(len(node.input) == 2 and kind != "Max", "of %d tensors, %d constant", len(node.input), len(fixed))
    moving, array = next(name for name in node.input if name not in c.constants), c.constant(fixed[0])
    first = node.input[0] == moving
    need(first or kind != "Div", "a constant by a tensor")
    if kind == "Div":
        array = 1 / array
    elif kind == "Sub":
        if not first:
            middle = node.output[0] + "@negative"
            c.add("Power", node, [moving], top=middle, suffix="@negative").power_param.scale = -1
            c.shapes[middle], moving = c.shape(moving), middle
        array = -array if first else array
    _with_constant(c, node, moving, array, kind in ("Mul", "Div"))


def _elementwise(c, node, kind):
    need(kind != "Div", "a tensor by a tensor")
    need(len({c.shape(name) for name in node.input}) == 1, "of shapes %s", [c.shape(name) for name in node.input])
    if len(node.input) == 1:
        c.add("Power", node)
        return
    p = c.add("Eltwise", node, list(node.input)).eltwise_param
    p.operation = PROD if kind == "Mul" else MAX if kind == "Max" else SUM
    if kind == "Sub":
        p.coeff.extend([1, -1])


def _with_constant(c, node, moving, array, product):
    if array.size == 1:
        value = float(array.reshape(()))
        _power(c, node, [moving], **({"scale": value} if product else {"shift": value}))
        return
    shape = c.shape(moving)
    axes = _over(array, shape)
    need(axes is not None, "a constant of %s with a tensor of %s", array.shape, shape)
    layer = c.add("Scale" if product else "Bias", node, [moving], arrays=[array.reshape(shape[slice(*axes)])])
    p = layer.scale_param if product else layer.bias_param
    p.axis, p.num_axes = axes[0], axes[1] - axes[0]


def _over(array, shape):
    """(first, end) of the axes of `shape` that the broadcast array covers whole, or None where they are not a run."""
    aligned = (1,) * (len(shape) - array.ndim) + array.shape
    covered = [axis for axis, size in enumerate(aligned) if size != 1]
    if len(aligned) != len(shape) or not covered:
        return None
    first, end = covered[0], covered[-1] + 1
    return (first, end) if aligned[first:end] == tuple(shape[first:end]) else None


def split(c, node):
    """Split as Slice."""
    given, shape = attributes(node), c.shape(node.input[0])
    axis = given.get("axis", 0) % len(shape)
    sizes = [c.shape(name)[axis] for name in node.output]
    need(sum(sizes) == shape[axis], "%s of %s along axis %d", sizes, shape, axis)
    layer = c.add("Slice", node, [node.input[0]])
    layer.slice_param.axis = axis
    layer.slice_param.slice_point.extend(np.cumsum(sizes)[:-1].tolist())
    layer.top[:] = node.output
    c.blobs.update((name, name) for name in node.output)


def slice_(c, node):
    """One step at a time. To the size of an earlier blob it is a Crop, else a Slice along every axis."""
    given, before, after = attributes(node), c.shape(node.input[0]), c.shape(node.output[0])
    starts = c.constant(node.input[1]).tolist() if len(node.input) > 1 else list(given["starts"])
    axes = c.constant(node.input[3]).tolist() if len(node.input) > 3 else list(given.get("axes", range(len(starts))))
    need(len(node.input) < 5 or set(c.constant(node.input[4]).tolist()) == {1}, "steps")
    first = [0] * len(before)
    for axis, start in zip(axes, starts):
        first[axis] = min(start + before[axis] if start < 0 else start, before[axis])
    changed = [axis for axis in range(len(before)) if before[axis] != after[axis]]
    if not changed:
        c.add("Power", node, [node.input[0]])
        return
    made = [b for layer in c.param.layer for b in layer.top if c.shapes.get(b, ())[changed[0] :] == after[changed[0] :]]
    like = next((b for b in made if len(c.shapes[b]) == len(before)), None)
    if like is not None:
        p = c.add("Crop", node, [node.input[0], like]).crop_param
        p.axis = changed[0]
        p.offset.extend(first[changed[0] :])
        return
    source = node.input[0]
    for axis in changed:
        top = node.output[0] + ("" if axis == changed[-1] else "@cut%d" % axis)
        c.cut(node, source, axis, first[axis], after[axis], before[axis], top)
        source = top


OPERATORS = {
    "Gemm": gemm, "MatMul": matmul, "Relu": relu, "LeakyRelu": relu, "PRelu": prelu, "Elu": elu, "Selu": selu,
    "Clip": clip, "Sigmoid": simple("Sigmoid"), "Tanh": simple("TanH"), "Abs": simple("AbsVal"), "Exp": simple("Exp"),
    "Log": simple("Log"), "Neg": negative, "Sqrt": root, "Pow": raised, "Identity": same, "Dropout": same,
    "Softmax": softmax, "LRN": lrn, "Concat": concat, "BatchNormalization": batch_normalization, "Reshape": reshape,
    "Flatten": reshape, "Squeeze": reshape, "Unsqueeze": reshape, "Sum": arithmetic, "Add": arithmetic,
    "Sub": arithmetic, "Mul": arithmetic, "Div": arithmetic, "Max": arithmetic, "Slice": slice_,
    "Split": split, "Softplus": simple("BNLL"),
    **windows.OPERATORS,
}  # fmt: skip
