"""ONNX operators that slide a window: convolutions and pooling, with the pads and roundings that Caffe lacks."""

from __future__ import annotations

import numpy as np

from caffe.convert.onnx_import.graph import attributes, need
from caffe.proto import caffe_pb2

POOLING = caffe_pb2.PoolingParameter


def _pair(message, **fields):
    """Set kernel=(h, w) as kernel_h and kernel_w, and so on."""
    for name, (height, width) in fields.items():
        setattr(message, name + "_h", int(height))
        setattr(message, name + "_w", int(width))


_COUNTS = {"pads": 4, "strides": 2, "dilations": 2, "kernel_shape": 2}


def _geometry(node):
    """The node's attributes, after a look at those that lay a window over planes."""
    given = attributes(node)
    for name, count in _COUNTS.items():
        values = list(given.get(name, [1] * count))
        need(len(values) == count and min(values) >= (name != "pads"), "%s %s; planes have two axes", name, values)
    return given


def _pads(given, sizes, kernel, stride):
    """(begin, end) pads of the two axes; `kernel` is the dilated one."""
    mode = given.get("auto_pad", b"NOTSET").decode("latin-1")
    if mode == "NOTSET":
        pads = list(given.get("pads", [0] * 4))
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


def conv(c, node):
    """Convolution. Pads that differ between begin and end become equal ones and zeros in the kernel."""
    given, weight = _geometry(node), c.constant(node.input[1])
    need(weight.ndim == 4, "weights of %s; planes are converted only", weight.shape)
    stride, dilation = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    dilated = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation)]
    begin, end = _pads(given, c.shape(node.input[0])[2:], dilated, stride)
    rest = [(e - b) % d for b, e, d in zip(begin, end, dilation)]
    need(not any(rest), "pads %s differ between begin and end, with dilations %s", begin + end, dilation)
    more = [(e - b) // d for b, e, d in zip(begin, end, dilation)]
    weight = np.pad(weight, [(0, 0), (0, 0), *((max(0, n), max(0, -n)) for n in more)])
    bias = [c.constant(node.input[2])] if len(node.input) > 2 else []
    p = c.add("Convolution", node, arrays=[weight, *bias]).convolution_param
    p.num_output, p.bias_term, p.group = weight.shape[0], bool(bias), given.get("group", 1)
    _pair(p, kernel=weight.shape[2:], stride=stride, pad=map(max, begin, end))
    p.dilation.extend(dilation)


def deconv(c, node):
    """ConvTranspose as Deconvolution."""
    given, weight = _geometry(node), c.constant(node.input[1])
    need(weight.ndim == 4, "weights of %s; planes are converted only", weight.shape)
    pads = list(given.get("pads", [0] * 4))
    need(pads[:2] == pads[2:] and "auto_pad" not in given, "pads %s differ between begin and end", pads)
    need(not any(given.get("output_padding", [0])) and "output_shape" not in given, "an output of a size of its own")
    bias, group = [c.constant(name) for name in node.input[2:]], given.get("group", 1)
    p = c.add("Deconvolution", node, arrays=[weight, *bias]).convolution_param
    p.num_output, p.bias_term, p.group = weight.shape[1] * group, bool(bias), group
    _pair(p, kernel=weight.shape[2:], stride=given.get("strides", [1, 1]), pad=pads[:2])
    p.dilation.extend(given.get("dilations", [1, 1]))


def pool(c, node):
    """MaxPool and AveragePool; where Caffe's divisor is another, a Scale of one factor a place mends it."""
    given, largest = _geometry(node), node.op_type == "MaxPool"
    kernel, stride = list(given["kernel_shape"]), list(given.get("strides", [1, 1]))
    need(set(given.get("dilations", [1])) == {1}, "dilations")
    need(len([name for name in node.output if name in c.read]) <= 1, "the places of the maxima are read")
    sizes, wanted = c.shape(node.input[0])[2:], c.shape(node.output[0])[2:]
    begin, end = _pads(given, sizes, kernel, stride)
    mode, pads, made = _layout(sizes, wanted, kernel, stride, begin)
    factor = None if largest else _factor(given, sizes, wanted, kernel, stride, begin, end, pads)
    ways = ["@by_window"] * (factor is not None)
    ways += ["@cut%d" % axis for axis in (0, 1) if made[axis] != wanted[axis]]
    tops = [node.output[0] + way for way in ways] + [node.output[0]]
    p = c.add("Pooling", node, [node.input[0]], top=tops[0]).pooling_param
    p.pool, p.round_mode = (POOLING.MAX if largest else POOLING.AVE), mode
    _pair(p, kernel=kernel, stride=stride, pad=pads)
    for axis in (0, 1):
        if made[axis] != wanted[axis]:
            first = (pads[axis] - begin[axis]) // stride[axis]
            c.cut(node, tops.pop(0), axis + 2, first, wanted[axis], made[axis], tops[0])
    if factor is not None:
        scale = c.add("Scale", node, [tops[0]], arrays=[factor], suffix="@scale").scale_param
        scale.axis, scale.num_axes = 2, 2


def _layout(sizes, wanted, kernel, stride, begin):
    """(round mode, pads, sizes) with which Caffe lays the wanted windows, and maybe some before and after them."""
    need(all(pad < k for pad, k in zip(begin, kernel)), "pads %s of windows %s", begin, kernel)
    for mode in (POOLING.CEIL, POOLING.FLOOR):
        made = _made(sizes, kernel, stride, begin, mode)
        if made == list(wanted):
            return mode, begin, made
    pads = list(begin)
    for axis in (0, 1):  # as many windows more before as make the pad of the end large enough
        while (
            _made(sizes, kernel, stride, pads, POOLING.CEIL)[axis]
            < wanted[axis] + (pads[axis] - begin[axis]) // stride[axis]
        ):
            pads[axis] += stride[axis]
            fits = pads[axis] < kernel[axis]
            need(fits, "windows that Caffe does not lay: %s of %s", tuple(wanted), tuple(sizes))
    return POOLING.CEIL, pads, _made(sizes, kernel, stride, pads, POOLING.CEIL)


def _made(sizes, kernel, stride, pads, mode):
    """The sizes that Caffe's rule gives: rounded, then without a last window that starts in the padding."""
    made = []
    for size, k, s, pad in zip(sizes, kernel, stride, pads):
        room = size + 2 * pad - k
        out = (-(-room // s) if mode == POOLING.CEIL else room // s) + 1
        made.append(out - 1 if any(pads) and (out - 1) * s >= size + pad else out)
    return made


def _factor(given, sizes, wanted, kernel, stride, begin, end, pads):
    """Caffe's divisor over ONNX's at each place, (H, W) float32, or None where all are 1."""
    padded, ceil = given.get("count_include_pad", 0), given.get("ceil_mode", 0)
    ours, theirs = [], []
    for size, out, k, s, b, e, pad in zip(sizes, wanted, kernel, stride, begin, end, pads):
        starts = np.arange(out) * s - b
        ends = starts + k
        need(not (padded and ceil) or ends[-1] <= size + e, "an average with ceil_mode beyond the padding")
        ours.append(np.minimum(ends, size + pad) - starts)
        theirs.append(np.full(out, k) if padded else np.minimum(ends, size) - np.maximum(starts, 0))
    factor = np.multiply.outer(*ours) / np.multiply.outer(*theirs)
    return None if (factor == 1).all() else factor.astype(np.float32)


def global_pool(c, node):
    """GlobalAveragePool, GlobalMaxPool."""
    _global(c, node, node.op_type == "GlobalMaxPool")


def reduce(c, node):
    """ReduceMean and ReduceMax over whole planes."""
    given, shape = attributes(node), c.shape(node.input[0])
    axes = c.constant(node.input[1]).tolist() if len(node.input) > 1 else given.get("axes", [])
    need(len(shape) == 4 and sorted(axis % 4 for axis in axes) == [2, 3], "over axes %s of %s", list(axes), shape)
    flat = not given.get("keepdims", 1)
    _global(c, node, node.op_type == "ReduceMax", node.output[0] + "@planes" if flat else None)
    if flat:
        c.add("Flatten", node, [node.output[0] + "@planes"], suffix="@flat")


def _global(c, node, largest, top=None):
    p = c.add("Pooling", node, [node.input[0]], top=top).pooling_param
    p.pool, p.global_pooling = (POOLING.MAX if largest else POOLING.AVE), True


OPERATORS = {
    "Conv": conv, "ConvTranspose": deconv, "MaxPool": pool, "AveragePool": pool, "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool, "ReduceMean": reduce, "ReduceMax": reduce,
}  # fmt: skip
