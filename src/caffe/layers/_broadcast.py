"""Broadcasting of the second operand: Scale and Bias (scale_layer.cpp, bias_layer.cpp), Add and Mul (Synopsys)."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.errors import CaffeError
from caffe.layers.base import Layer, Shape, Tensor


def operand_shape(layer: Layer, param: Any, bottom: Shape) -> Shape:
    """Return the shape of the weight blob that `param` (axis, num_axes) describes."""
    begin, count = layer.axis(param.axis, bottom), param.num_axes
    layer.need(count >= -1, "num_axes must not be negative, or be -1 for all axes from `axis` on; received %d", count)
    end = len(bottom) if count == -1 else begin + count
    layer.need(end <= len(bottom), "%d axes from axis %d on exceed the bottom %s", count, begin, bottom)
    return tuple(bottom[begin:end])


def aligned(layer: Layer, param: Any, bottom: Shape, operand: Shape) -> int:
    """Return the bottom axis that the first axis of `operand` corresponds to, after checking that the sizes agree."""
    begin = layer.axis(param.axis, bottom) if operand else 0  # Caffe: a scalar fits anywhere
    layer.need(
        tuple(bottom[begin : begin + len(operand)]) == tuple(operand),
        "a blob of shape %s does not fit the bottom %s from axis %d on",
        operand,
        bottom,
        begin,
    )
    return begin


def equal_ranks_to_onnx(g: Any, names: list[str], shapes: list[Shape]) -> list[str]:
    """Give two tensors that are aligned at their last axes the same number of axes; return their names.

    ONNX would broadcast them as they are, but the compiler for Myriad 2 permutes operands of unequal rank differently.
    """
    rank = max(map(len, shapes))
    return [_reshaped(g, name, [1] * (rank - len(shape)) + [*shape], shape) for name, shape in zip(names, shapes)]


def _reshaped(g, name, new, shape):
    if new == [*shape]:
        return name
    out = g.temp("aligned")
    g.node("Reshape", [name, g.constant(new, "shape")], [out])
    return out


def aligned_to_onnx(g: Any, name: str, shape: Shape, rank: int, axes: int) -> str:
    """Append axes of size 1 to the tensor `name` up to `rank` axes, so that ONNX broadcasts it; return its name.

    A tensor with several axes larger than 1 is given axes of size 1 in front as well, `axes` in all as its partner has:
    the compiler for Myriad 2 keeps channels innermost and permutes both operands only if both have as many axes.
    """
    in_front = axes - rank if sum(size > 1 for size in shape) > 1 else 0
    return _reshaped(g, name, [*[1] * in_front, *shape, *[1] * (rank - len(shape))], shape)


class BroadcastLayer(Layer):
    """Base of Add and Mul: two bottoms, or a bottom and a blob, aligned at their last axes."""

    num_bottom = (1, 2)
    in_place = False
    onnx_type = ""
    operand = ""  # name of the blob in ONNX

    def blob_shape(self) -> Shape:
        """Return the shape of the blob that replaces a second bottom."""
        raise NotImplementedError

    def setup(self, bottom: Shape, other: Shape | None = None) -> None:
        if other is None:
            self.add_blob(self.blob_shape())

    def top_shapes(self, bottom: Shape, other: Shape | None = None) -> list[Shape]:
        other = self.blobs[0].shape if other is None else other
        try:
            return [np.broadcast_shapes(bottom, other)]
        except ValueError:
            raise CaffeError(f"the sizes of the axes must be equal or 1, received {bottom} and {other}") from None

    def second(self, other: Tensor | None) -> Tensor:
        """Return the second operand: the second bottom if there is one, else the blob."""
        return self.blobs[0].tensor if other is None else other

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        other = bottoms[1] if len(bottoms) > 1 else g.constant(self.blobs[0].data, self.operand)
        shapes = [g.shape(bottoms[0]), g.shape(bottoms[1]) if len(bottoms) > 1 else self.blobs[0].shape]
        g.node(self.onnx_type, equal_ranks_to_onnx(g, [bottoms[0], other], shapes), tops)
