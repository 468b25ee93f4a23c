"""Transpose: permutes the axes."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Transpose(Layer):
    """Permutes the axes into the order `dim`, which lists all of them (CTPN, caffe_ocr)."""

    in_place = False
    examples = (Example("transpose_param { dim: 3 dim: 2 dim: 0 dim: 1 }", [(2, 3, 4, 5)]),)

    def setup(self, bottom: Shape) -> None:
        self.order = list(self.param.transpose_param.dim)
        self.need(
            sorted(self.order) == list(range(len(bottom))),
            "dim must list each axis of the bottom %s once, received %s",
            bottom,
            self.order,
        )

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        return [tuple(bottom[axis] for axis in self.order)]

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order).contiguous()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Transpose", bottoms, tops, perm=self.order)
