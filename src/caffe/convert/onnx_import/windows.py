"""ONNX's convolution and pooling operators, with paddings and roundings that Caffe lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from caffe.convert.onnx_import.graph import Graph, attributes, require
from caffe.proto import caffe_pb2

if TYPE_CHECKING:
    import onnx

POOLING = caffe_pb2.PoolingParameter


def _pair(message, **fields):
    """Set kernel=(h, w) as kernel_h and kernel_w, and so on."""
    for name, (height, width) in fields.items():
        setattr(message, name + "_h", int(height))
        setattr(message, name + "_w", int(width))


_LENGTHS = {"pads": 4, "strides": 2, "dilations": 2, "kernel_shape": 2}


def _checked_attributes(node):
    """Return the node's attributes after checking that the window is two-dimensional."""
    attrs = attributes(node)
    for name, length in _LENGTHS.items():
        values = list(attrs.get(name, [1] * length))
        valid = len(values) == length and min(values) >= (name != "pads")
        require(valid, "%s %s; only two-dimensional windows are supported", name, values)
    return attrs


def _pads(attrs, sizes, kernel, stride):
    """Return the paddings (begin, end) of the two axes; `kernel` is the size of the dilated kernel."""
    mode = attrs.get("auto_pad", b"NOTSET").decode("latin-1")
    if mode == "NOTSET":
        pads = list(attrs.get("pads", [0] * 4))
        return pads[:2], pads[2:]
    if mode == "VALID":
        return [0, 0], [0, 0]
    begin, end = [], []
    for size, k, s in zip(sizes, kernel, stride):
        total = max(0, (-(-size // s) - 1) * s + k - size)
        small, large = total // 2, total - total // 2
        begin.append(small if mode == "SAME_UPPER" else large)
        end.append(large if mode == "SAME_UPPER" else small)
    return begin, end


def conv(graph: Graph, node: onnx.NodeProto) -> None:
    """Conv: a Convolution; asymmetric padding becomes symmetric padding and a kernel extended with zeros."""
    attrs, weight = _checked_attributes(node), graph.constant(node.input[1])
    require(weight.ndim == 4, "weights of shape %s; only two-dimensional convolutions are supported", weight.shape)
    stride, dilation = attrs.get("strides", [1, 1]), attrs.get("dilations", [1, 1])
    dilated = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation)]
    begin, end = _pads(attrs, graph.shape(node.input[0])[2:], dilated, stride)
    remainder = [(e - b) % d for b, e, d in zip(begin, end, dilation)]
    require(not any(remainder), "asymmetric pads %s with dilations %s", begin + end, dilation)
    extension = [(e - b) // d for b, e, d in zip(begin, end, dilation)]
    weight = np.pad(weight, [(0, 0), (0, 0), *((max(0, n), max(0, -n)) for n in extension)])
    bias = [graph.constant(node.input[2])] if len(node.input) > 2 else []
    p = graph.add("Convolution", node, arrays=[weight, *bias]).convolution_param
    p.num_output, p.bias_term, p.group = weight.shape[0], bool(bias), attrs.get("group", 1)
    _pair(p, kernel=weight.shape[2:], stride=stride, pad=map(max, begin, end))
    p.dilation.extend(dilation)


def deconv(graph: Graph, node: onnx.NodeProto) -> None:
    """ConvTranspose: a Deconvolution."""
    attrs, weight = _checked_attributes(node), graph.constant(node.input[1])
    require(weight.ndim == 4, "weights of shape %s; only two-dimensional convolutions are supported", weight.shape)
    pads = list(attrs.get("pads", [0] * 4))
    require(pads[:2] == pads[2:] and "auto_pad" not in attrs, "asymmetric pads %s", pads)
    default_size = not any(attrs.get("output_padding", [0])) and "output_shape" not in attrs
    require(default_size, "output_padding and output_shape are not supported")
    bias, group = [graph.constant(name) for name in node.input[2:]], attrs.get("group", 1)
    p = graph.add("Deconvolution", node, arrays=[weight, *bias]).convolution_param
    p.num_output, p.bias_term, p.group = weight.shape[1] * group, bool(bias), group
    _pair(p, kernel=weight.shape[2:], stride=attrs.get("strides", [1, 1]), pad=pads[:2])
    p.dilation.extend(attrs.get("dilations", [1, 1]))


def pool(graph: Graph, node: onnx.NodeProto) -> None:
    """MaxPool and AveragePool; a Scale with one factor per pixel corrects a different divisor in Caffe."""
    attrs, is_max = _checked_attributes(node), node.op_type == "MaxPool"
    kernel, stride = list(attrs["kernel_shape"]), list(attrs.get("strides", [1, 1]))
    require(set(attrs.get("dilations", [1])) == {1}, "dilations are not supported")
    require(len([name for name in node.output if name in graph.consumed]) <= 1, "the indices of the maxima are used")
    sizes, expected = graph.shape(node.input[0])[2:], graph.shape(node.output[0])[2:]
    begin, end = _pads(attrs, sizes, kernel, stride)
    mode, pads, outputs = _layout(sizes, expected, kernel, stride, begin)
    factor = None if is_max else _factor(attrs, sizes, expected, kernel, stride, begin, end, pads)
    suffixes = ["@by_window"] * (factor is not None)
    suffixes += [f"@cut{axis}" for axis in (0, 1) if outputs[axis] != expected[axis]]
    tops = [node.output[0] + suffix for suffix in suffixes] + [node.output[0]]
    p = graph.add("Pooling", node, [node.input[0]], top=tops[0]).pooling_param
    p.pool, p.round_mode = (POOLING.MAX if is_max else POOLING.AVE), mode
    _pair(p, kernel=kernel, stride=stride, pad=pads)
    for axis in (0, 1):
        if outputs[axis] != expected[axis]:
            first = (pads[axis] - begin[axis]) // stride[axis]
            graph.cut(node, tops.pop(0), axis + 2, first, expected[axis], outputs[axis], tops[0])
    if factor is not None:
        scale = graph.add("Scale", node, [tops[0]], arrays=[factor], suffix="@scale").scale_param
        scale.axis, scale.num_axes = 2, 2


def _layout(sizes, expected, kernel, stride, begin):
    """Return (round mode, pads, output sizes) with which Caffe computes the expected windows, perhaps among others."""
    require(all(pad < k for pad, k in zip(begin, kernel)), "pads %s with windows %s", begin, kernel)
    for mode in (POOLING.CEIL, POOLING.FLOOR):
        outputs = _output_sizes(sizes, kernel, stride, begin, mode)
        if outputs == list(expected):
            return mode, begin, outputs
    pads = list(begin)
    for axis in (0, 1):  # add windows at the start until the symmetric padding is large enough at the end
        while (
            _output_sizes(sizes, kernel, stride, pads, POOLING.CEIL)[axis]
            < expected[axis] + (pads[axis] - begin[axis]) // stride[axis]
        ):
            pads[axis] += stride[axis]
            fits = pads[axis] < kernel[axis]
            require(fits, "Caffe has no padding that gives an output of %s from %s", tuple(expected), tuple(sizes))
    return POOLING.CEIL, pads, _output_sizes(sizes, kernel, stride, pads, POOLING.CEIL)


def _output_sizes(sizes, kernel, stride, pads, mode):
    """Return Caffe's output sizes: rounded, without a last window that starts in the padding."""
    outputs = []
    for size, k, s, pad in zip(sizes, kernel, stride, pads):
        span = size + 2 * pad - k
        out = (-(-span // s) if mode == POOLING.CEIL else span // s) + 1
        outputs.append(out - 1 if any(pads) and (out - 1) * s >= size + pad else out)
    return outputs


def _factor(attrs, sizes, outputs, kernel, stride, begin, end, pads):
    """Return Caffe's divisor over ONNX's divisor per pixel, float32 (H, W), or None if all are 1."""
    include_pad, ceil = attrs.get("count_include_pad", 0), attrs.get("ceil_mode", 0)
    caffe_divisors, onnx_divisors = [], []
    for size, out, k, s, b, e, pad in zip(sizes, outputs, kernel, stride, begin, end, pads):
        starts = np.arange(out) * s - b
        ends = starts + k
        require(not (include_pad and ceil) or ends[-1] <= size + e, "an average with ceil_mode beyond the padding")
        caffe_divisors.append(np.minimum(ends, size + pad) - starts)
        onnx_divisors.append(np.full(out, k) if include_pad else np.minimum(ends, size) - np.maximum(starts, 0))
    factor = np.multiply.outer(*caffe_divisors) / np.multiply.outer(*onnx_divisors)
    return None if (factor == 1).all() else factor.astype(np.float32)


def global_pool(graph: Graph, node: onnx.NodeProto) -> None:
    """GlobalAveragePool and GlobalMaxPool: a global Pooling."""
    _global(graph, node, node.op_type == "GlobalMaxPool")


def reduce(graph: Graph, node: onnx.NodeProto) -> None:
    """ReduceMean and ReduceMax over both spatial axes: a global Pooling."""
    attrs, shape = attributes(node), graph.shape(node.input[0])
    axes = graph.constant(node.input[1]).tolist() if len(node.input) > 1 else attrs.get("axes", [])
    is_global = len(shape) == 4 and sorted(axis % 4 for axis in axes) == [2, 3]
    require(is_global, "axes %s of %s; only both spatial axes are supported", list(axes), shape)
    flatten = not attrs.get("keepdims", 1)
    _global(graph, node, node.op_type == "ReduceMax", node.output[0] + "@planes" if flatten else None)
    if flatten:
        graph.add("Flatten", node, [node.output[0] + "@planes"], suffix="@flat")


def _global(graph, node, is_max, top=None):
    p = graph.add("Pooling", node, [node.input[0]], top=top).pooling_param
    p.pool, p.global_pooling = (POOLING.MAX if is_max else POOLING.AVE), True


OPERATORS = {
    "Conv": conv, "ConvTranspose": deconv, "MaxPool": pool, "AveragePool": pool, "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool, "ReduceMean": reduce, "ReduceMax": reduce,
}  # fmt: skip
