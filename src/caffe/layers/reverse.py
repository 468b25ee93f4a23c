"""Reverse: reverses the order of values."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Reverse(Layer):
    """Reverses the order of the values along each `axis` (default 0) (CTPN, caffe_ocr)."""

    in_place = False
    examples = (Example("reverse_param { axis: 0 }", [(4, 3, 2)]), Example("reverse_param { axis: 1 }", [(2, 3, 4, 5)]))

    def setup(self, bottom: Shape) -> None:
        self.axes = [self.axis(axis, bottom) for axis in self.param.reverse_param.axis or [0]]

    def forward(self, x: Tensor) -> Tensor:
        return torch.flip(x, self.axes)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        reverse_to_onnx(g, bottoms[0], tops[0], self.axes)


def reverse_to_onnx(g, bottom, top, axes):
    """Emit a Gather with descending indices for each axis."""
    shape = g.shape(bottom)
    for number, axis in enumerate(axes):
        out = top if number == len(axes) - 1 else g.temp("reversed")
        g.node("Gather", [bottom, g.constant(list(range(shape[axis] - 1, -1, -1)), "falling")], [out], axis=axis)
        bottom = out
