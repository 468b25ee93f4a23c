"""Bias: adds a learned blob or a second bottom along selected axes."""

from __future__ import annotations

from typing import Any

from caffe.layers._broadcast import aligned, aligned_to_onnx, operand_shape
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Bias(Layer):
    """y = x + bias, with the axes of bias starting at `axis`, broadcast over all others (bias_layer.cpp).

    bias is the second bottom, or a learned blob over `num_axes` axes (-1: to the end, 0: a scalar), initialized by
    `filler`.
    """

    num_bottom = (1, 2)
    examples = (
        Example('bias_param { filler { type: "gaussian" std: 1 } }', [(2, 3, 4, 5)]),
        Example("bias_param { axis: 2 num_axes: -1 filler { value: 2 } }", [(2, 3, 4, 5)]),
        Example("bias_param { axis: 0 }", [(2, 3, 4, 5), (2, 3)]),
    )

    def setup(self, bottom: Shape, second: Shape | None = None) -> None:
        p = self.param.bias_param
        if second is None:
            self.add_blob(operand_shape(self, p, bottom), p.filler)

    def top_shapes(self, bottom: Shape, second: Shape | None = None) -> list[Shape]:
        bias = self.blobs[0].shape if second is None else second
        self.begin = aligned(self, self.param.bias_param, bottom, bias)
        return [bottom]

    def forward(self, x: Tensor, second: Tensor | None = None) -> Tensor:
        bias = self.blobs[0].tensor if second is None else second
        return x + bias.reshape(bias.shape + (1,) * (x.dim() - self.begin - bias.dim()))

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = g.shape(bottoms[0])
        bias = bottoms[1] if len(bottoms) > 1 else g.constant(self.blobs[0].data, "bias")
        bias_shape = g.shape(bottoms[1]) if len(bottoms) > 1 else self.blobs[0].shape
        begin = aligned(self, self.param.bias_param, shape, bias_shape)
        g.node("Add", [bottoms[0], aligned_to_onnx(g, bias, bias_shape, len(shape) - begin, len(shape))], tops)
