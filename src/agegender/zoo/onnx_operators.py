"""One function an ONNX operator: (converter, node) adds the Caffe layers that do the same, or raises Refused."""

from __future__ import annotations

import numpy as np

from caffe.proto import caffe_pb2

POOLING, ELTWISE = caffe_pb2.PoolingParameter, caffe_pb2.EltwiseParameter


class Refused(Exception):
    """Caffe has no layer for this; the text says what."""


def attributes(node):
    """{name: value} of a node."""
    from onnx import helper

    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def _need(condition, text, *values):
    if not condition:
        raise Refused(text % values)


def _constant(c, name):
    _need(name in c.constants, "'%s' is computed; a constant is due", name)
    return c.constants[name]


def _pair(field_h, field_w, values, message):
    setattr(message, field_h, values[0])
    setattr(message, field_w, values[1])


def conv(c, node):
    given, weight = attributes(node), _constant(c, node.input[1])
    _need(weight.ndim == 4, "weights of %s; planes are converted only", weight.shape)
    pads = list(given.get("pads", [0] * 4))
    _need(given.get("auto_pad", b"NOTSET") == b"NOTSET", "auto_pad")
    _need(pads[:2] == pads[2:], "pads %s differ between begin and end", pads)
    bias = [_constant(c, node.input[2])] if len(node.input) > 2 else []
    p = c.add("Convolution", node, arrays=[weight, *bias]).convolution_param
    p.num_output, p.bias_term, p.group = weight.shape[0], bool(bias), given.get("group", 1)
    _pair("kernel_h", "kernel_w", weight.shape[2:], p)
    _pair("stride_h", "stride_w", given.get("strides", [1, 1]), p)
    _pair("pad_h", "pad_w", pads[:2], p)
    p.dilation.extend(given.get("dilations", [1, 1]))


def gemm(c, node):
    given, weight = attributes(node), _constant(c, node.input[1])
    _need(not given.get("transA", 0), "transA")
    _need(given.get("alpha", 1.0) == 1.0 and given.get("beta", 1.0) == 1.0, "alpha or beta other than 1")
    bias = [_constant(c, node.input[2]).reshape(-1)] if len(node.input) > 2 else []
    _inner_product(c, node, weight if given.get("transB", 0) else weight.T, bias)


def matmul(c, node):
    _inner_product(c, node, _constant(c, node.input[1]).T, [])


def _inner_product(c, node, weight, bias):
    p = c.add("InnerProduct", node, arrays=[weight, *bias]).inner_product_param
    p.num_output, p.bias_term = weight.shape[0], bool(bias)


def relu(c, node):
    layer = c.add("ReLU", node)
    if node.op_type == "LeakyRelu":
        layer.relu_param.negative_slope = attributes(node).get("alpha", 0.01)


def elu(c, node):
    c.add("ELU", node).elu_param.alpha = attributes(node).get("alpha", 1.0)


def simple(kind):
    """An operator that is a Caffe layer without parameters."""

    def add(c, node):
        c.add(kind, node)

    return add


def same(c, node):
    """Identity and Dropout: another name for a tensor, but a layer where the graph ends."""
    if node.output[0] in {item.name for item in c.graph.output}:
        c.add("Power", node)
    else:
        c.blobs[node.output[0]] = c.blobs[node.input[0]]


def softmax(c, node):
    axis = attributes(node).get("axis", 1)
    _need(axis in (1, -1) and len(c.shapes.get(node.input[0], (0, 0))) in (2, 0), "softmax of (N, C) along 1 only")
    c.add("Softmax", node)


def lrn(c, node):
    given = attributes(node)
    p = c.add("LRN", node).lrn_param
    p.local_size, p.alpha, p.beta, p.k = (
        given["size"], given.get("alpha", 1e-4), given.get("beta", 0.75), given.get("bias", 1.0),
    )  # fmt: skip


def concat(c, node):
    layer = c.add("Concat", node, list(node.input))
    layer.concat_param.axis = attributes(node)["axis"]


def pool(c, node):
    given, largest = attributes(node), node.op_type == "MaxPool"
    kernel, stride = list(given["kernel_shape"]), list(given.get("strides", [1, 1]))
    pads = list(given.get("pads", [0] * 4))
    _need(len(kernel) == 2 and len(node.output) == 1, "planes and one output only")
    _need(given.get("auto_pad", b"NOTSET") == b"NOTSET", "auto_pad")
    _need(largest or not any(pads) or given.get("count_include_pad", 0), "an average that leaves padding out")
    sizes, wanted = (c.shapes.get(name, ())[2:] for name in (node.input[0], node.output[0]))
    _need(len(sizes) == 2 and all(sizes) and all(wanted), "the size of its planes is not in the file")
    _need(largest or pads[:2] == pads[2:], "an average with pads %s", pads)
    mode = _round_mode(sizes, wanted, kernel, stride, pads[:2])
    p = c.add("Pooling", node).pooling_param
    p.pool, p.round_mode = (POOLING.MAX if largest else POOLING.AVE), mode
    _pair("kernel_h", "kernel_w", kernel, p)
    _pair("stride_h", "stride_w", stride, p)
    _pair("pad_h", "pad_w", pads[:2], p)


def _round_mode(sizes, wanted, kernel, stride, pads):
    """CEIL (Caffe's default) or FLOOR, whichever gives the wanted sizes."""
    for mode, up in ((POOLING.CEIL, True), (POOLING.FLOOR, False)):
        made = []
        for size, k, s, pad in zip(sizes, kernel, stride, pads):
            room = size + 2 * pad - k
            out = (-(-room // s) if up else room // s) + 1
            made.append(out - 1 if any(pads) and (out - 1) * s >= size + pad else out)
        if tuple(made) == tuple(wanted):
            return mode
    raise Refused("windows that Caffe does not lay: %s of %s" % (wanted, sizes))


def global_pool(c, node):
    p = c.add("Pooling", node).pooling_param
    p.pool = POOLING.AVE if node.op_type == "GlobalAveragePool" else POOLING.MAX
    p.global_pooling = True


def batch_normalization(c, node):
    gamma, beta, mean, variance = (_constant(c, name) for name in node.input[1:])
    middle = node.output[0] + "@normalized"
    layer = c.add("BatchNorm", node, top=middle, arrays=[mean, variance, np.ones(1)])
    layer.batch_norm_param.eps = attributes(node).get("epsilon", 1e-5)
    layer.batch_norm_param.use_global_stats = True
    c.add("Scale", node, [middle], arrays=[gamma, beta], suffix="@scale").scale_param.bias_term = True


def reshape(c, node):
    shape = c.shapes.get(node.output[0], ())
    if node.input[0] in c.constants:
        _need(node.op_type == "Reshape", "a constant that is flattened")
        _fold(c, node, c.constants[node.input[0]].reshape([int(n) for n in _constant(c, node.input[1])]))
        return
    before = c.shapes.get(node.input[0], ())
    _need(len(shape) == 2 and before and shape[0] == before[0], "from %s to %s; only (N, the rest)", before, shape)
    c.add("Flatten", node)


def unsqueeze(c, node):
    _need(node.input[0] in c.constants, "of a computed tensor")
    array = c.constants[node.input[0]]
    for axis in sorted(attributes(node)["axes"]):
        array = np.expand_dims(array, axis)
    _fold(c, node, array)


def constant(c, node):
    from onnx import numpy_helper

    given = attributes(node)
    _need("value" in given, "without a value")
    _fold(c, node, numpy_helper.to_array(given["value"]))


def _fold(c, node, array):
    c.constants[node.output[0]], c.shapes[node.output[0]] = array, array.shape


def arithmetic(c, node):
    """Sum, Add, Mul: of tensors an Eltwise; with a number a Power; with a value a channel a Scale or Bias."""
    fixed = [name for name in node.input if name in c.constants]
    moving = [name for name in node.input if name not in c.constants]
    product = node.op_type == "Mul"
    if not fixed:
        _need(len({c.shapes.get(name) for name in moving}) == 1, "of different shapes")
        layer = c.add("Eltwise", node, moving)
        layer.eltwise_param.operation = ELTWISE.PROD if product else ELTWISE.SUM
        return
    _need(len(fixed) == len(moving) == 1, "%d tensors and %d constants", len(moving), len(fixed))
    array = c.constants[fixed[0]]
    if array.size == 1:
        p = c.add("Power", node, moving).power_param
        p.scale, p.shift = (float(array.ravel()[0]), 0.0) if product else (1.0, float(array.ravel()[0]))
        return
    shape = c.shapes.get(moving[0], ())
    aligned = (1,) * (len(shape) - array.ndim) + array.shape
    due = (1, shape[1] if len(shape) > 1 else 0, *(1,) * (len(shape) - 2))
    _need(aligned == due, "a constant of %s with a tensor of %s", array.shape, shape)
    c.add("Scale" if product else "Bias", node, moving, arrays=[array.reshape(-1)])


def slice_(c, node):
    """A Crop to the size of an earlier blob, the form which our own export of Crop has."""
    starts, ends, axes = (_constant(c, name).tolist() for name in node.input[1:4])
    _need(len(node.input) < 5 or set(_constant(c, node.input[4]).tolist()) == {1}, "steps")
    before, after = c.shapes[node.input[0]], c.shapes.get(node.output[0], ())
    _need(after and axes == list(range(axes[0], len(before))), "axes %s; all from one on are due", axes)
    made = [b for layer in c.param.layer for b in layer.top if c.shapes.get(b, ())[axes[0] :] == after[axes[0] :]]
    like = next((b for b in made if len(c.shapes[b]) == len(before)), None)
    _need(like is not None, "no earlier blob has the size %s, which Crop asks for", after)
    p = c.add("Crop", node, [node.input[0], like]).crop_param
    p.axis = axes[0]
    p.offset.extend(starts)


OPERATORS = {
    "Conv": conv, "Gemm": gemm, "MatMul": matmul, "Relu": relu, "LeakyRelu": relu, "Elu": elu, "Sigmoid": simple("Sigmoid"),
    "Tanh": simple("TanH"), "Identity": same, "Dropout": same, "Softmax": softmax, "LRN": lrn, "Concat": concat,
    "MaxPool": pool, "AveragePool": pool, "GlobalAveragePool": global_pool, "GlobalMaxPool": global_pool,
    "BatchNormalization": batch_normalization, "Reshape": reshape, "Flatten": reshape, "Unsqueeze": unsqueeze,
    "Constant": constant, "Sum": arithmetic, "Add": arithmetic, "Mul": arithmetic, "Slice": slice_,
}  # fmt: skip
