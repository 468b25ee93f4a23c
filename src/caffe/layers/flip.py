"""Flip: mirrors images."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.layers.reverse import reverse_to_onnx


@register
class Flip(Layer):
    """Mirrors the images left to right (flip_width, default) and top to bottom (flip_height) (caffe-windows)."""

    in_place = False
    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("flip_param { flip_width: false flip_height: true }", [(2, 3, 4, 5)]),
        Example("flip_param { flip_height: true }", [(2, 3, 4, 5)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.flip_param
        self.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)
        self.axes = [3] * p.flip_width + [2] * p.flip_height

    def forward(self, x: Tensor) -> Tensor:
        return torch.flip(x, self.axes) if self.axes else x

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        if self.axes:
            reverse_to_onnx(g, bottoms[0], tops[0], self.axes)
        else:
            g.node("Identity", bottoms, tops)
