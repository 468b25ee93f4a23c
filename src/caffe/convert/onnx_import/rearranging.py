"""ONNX operators that move or repeat values: Transpose, Gather, Resize, and arithmetic with broadcasting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from caffe.convert.onnx_import.graph import Graph, attributes, require

if TYPE_CHECKING:
    import onnx

_MOST_PARTS = 64


def transpose(graph: Graph, node: onnx.NodeProto) -> None:
    """Transpose: a Permute."""
    rank = len(graph.shape(node.input[0]))
    order = list(attributes(node).get("perm", range(rank - 1, -1, -1)))
    graph.add("Permute", node).permute_param.order.extend(order)


def gather(graph: Graph, node: onnx.NodeProto) -> None:
    """Gather with constant indices: Slices, joined by a Concat if the indices are not consecutive."""
    shape, indices = graph.shape(node.input[0]), graph.constant(node.input[1])
    axis = attributes(node).get("axis", 0) % len(shape)
    require(indices.ndim <= 1 and indices.size, "indices of shape %s", indices.shape)
    chosen = [int(index) % shape[axis] for index in indices.reshape(-1)]
    runs = _consecutive(chosen)
    require(len(runs) <= _MOST_PARTS, "%d ranges of indices", len(runs))
    scalar, whole = indices.ndim == 0, node.output[0] + "@gathered"
    top = whole if scalar else node.output[0]
    parts = [top] if len(runs) == 1 else [f"{node.output[0]}@part{number}" for number in range(len(runs))]
    for (first, count), part in zip(runs, parts):
        if count == shape[axis]:
            graph.add("Power", node, [node.input[0]], top=part, suffix="@all")
        else:
            graph.cut(node, node.input[0], axis, first, count, shape[axis], part)
    if len(parts) > 1:
        graph.add("Concat", node, parts, top=top, suffix="@joined").concat_param.axis = axis
    if scalar:
        dims = [size for number, size in enumerate(shape) if number != axis]
        graph.add("Reshape", node, [whole], suffix="@squeezed").reshape_param.shape.dim.extend(dims)


def _consecutive(indices: list[int]) -> list[tuple[int, int]]:
    """Return the (first, count) of the runs of consecutive indices."""
    runs: list[tuple[int, int]] = []
    for index in indices:
        if runs and sum(runs[-1]) == index:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((index, 1))
    return runs


def resize(graph: Graph, node: onnx.NodeProto) -> None:
    """Resize and Upsample of images: Upsample or ResizeNearestNeighbor, Interp or ResizeBilinear."""
    attrs, before, after = attributes(node), graph.shape(node.input[0]), graph.shape(node.output[0])
    require(len(before) == 4 and before[:2] == after[:2], "from %s to %s", before, after)
    mode = _text(attrs, "mode", "nearest")
    position = _text(attrs, "coordinate_transformation_mode", "half_pixel")
    position = "asymmetric" if node.op_type == "Upsample" else position
    if mode == "nearest":
        _nearest(graph, node, before, after, position, _text(attrs, "nearest_mode", "round_prefer_floor"))
        return
    require(mode == "linear", "mode '%s'", mode)
    if position == "align_corners":
        p = graph.add("Interp", node, [node.input[0]]).interp_param
        p.height, p.width = after[2:]
        return
    known = {
        "asymmetric": {},
        "half_pixel": {"half_pixel_centers": True},
        "pytorch_half_pixel": {"pytorch_half_pixel": True},
    }
    require(position in known, "coordinate_transformation_mode '%s'", position)
    p = graph.add("ResizeBilinear", node, [node.input[0]]).resize_bilinear_param
    p.data_format, p.output_height, p.output_width = "NCHW", after[2], after[3]
    for name, value in known[position].items():
        setattr(p, name, value)


def _text(attrs: dict, name: str, default: str) -> str:
    value = attrs.get(name, default)
    return value.decode() if isinstance(value, bytes) else value


def _nearest(graph, node, before, after, position, rounding):
    """Repeat pixels: every pixel a whole number of times; the position of its copies does not matter then."""
    factors = {new // old for old, new in zip(before[2:], after[2:]) if new % old == 0}
    same = len(factors) == 1 and all(new % old == 0 for old, new in zip(before[2:], after[2:]))
    repeats = position == "asymmetric" and rounding == "floor" or position in ("half_pixel", "pytorch_half_pixel")
    require(same and repeats, "nearest from %s to %s, %s, %s", before[2:], after[2:], position, rounding)
    graph.add("Upsample", node, [node.input[0]]).upsample_param.scale = factors.pop()


def broadcast(graph: Graph, node: onnx.NodeProto, operator: str) -> None:
    """Sum, Add, Sub, Mul and Div of two tensors of different shapes: an Add or Mul with broadcasting."""
    require(
        len(node.input) == 2 and operator != "Max", "different shapes for %d inputs of %s", len(node.input), operator
    )
    first, second = node.input
    if operator in ("Sub", "Div"):
        changed = node.output[0] + "@second"
        p = graph.add("Power", node, [second], top=changed, suffix="@second").power_param
        p.scale, p.power = (-1, 1) if operator == "Sub" else (1, -1)
        graph.shapes[changed], second = graph.shape(second), changed
    graph.add("Mul" if operator in ("Mul", "Div") else "Add", node, [first, second])


def with_constant(graph: Graph, node: onnx.NodeProto, variable: str, array: np.ndarray, is_product: bool) -> None:
    """A tensor and a constant that are broadcast: an Add or Mul with a blob."""
    layer = graph.add("Mul" if is_product else "Add", node, [variable], arrays=[array])
    (layer.mul_param.mul_shape if is_product else layer.add_param.add_shape).extend(array.shape)


OPERATORS = {"Transpose": transpose, "Gather": gather, "Resize": resize, "Upsample": resize}
