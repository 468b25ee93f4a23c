"""How the second operand of Scale and Bias lies along the axes of the bottom (scale_layer.cpp,
bias_layer.cpp).
"""


def operand_shape(layer, param, bottom):
    """The shape of the blob that `param` (axis, num_axes) asks for."""
    begin, count = layer.axis(param.axis, bottom), param.num_axes
    layer.need(count >= -1, "num_axes must not be negative, or be -1 for all axes from `axis` on; received %d", count)
    end = len(bottom) if count == -1 else begin + count
    layer.need(end <= len(bottom), "%d axes from axis %d on reach beyond the bottom %s", count, begin, bottom)
    return tuple(bottom[begin:end])


def aligned(layer, param, bottom, operand):
    """The bottom's axis on which `operand`'s first axis lies, after checking that all its axes agree."""
    begin = layer.axis(param.axis, bottom) if operand else 0  # Caffe: a scalar fits anywhere
    layer.need(
        tuple(bottom[begin : begin + len(operand)]) == tuple(operand),
        "a blob of shape %s does not fit the bottom %s from axis %d on",
        operand,
        bottom,
        begin,
    )
    return begin


def aligned_to_onnx(g, name, shape, rank, axes):
    """The tensor `name` of `shape` with axes of 1 added behind, `rank` in all, so that ONNX repeats it.

    One that lies along several axes has axes of 1 in front as well, `axes` in all as its partner has: the compiler for
    Myriad 2 keeps channels innermost and moves the axes of both only where both have as many.
    """
    in_front = axes - rank if sum(size > 1 for size in shape) > 1 else 0
    if len(shape) == rank and not in_front:
        return name
    out = g.temp("aligned")
    aligned = [*[1] * in_front, *shape, *[1] * (rank - len(shape))]
    g.node("Reshape", [name, g.constant(aligned, "shape")], [out])
    return out
