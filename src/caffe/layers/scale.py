"""Scale: multiplies by a learned blob or a second bottom along selected axes."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers._broadcast import aligned, aligned_to_onnx, operand_shape
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2


@register
class Scale(Layer):
    """y = x * scale (+ bias), with the axes of scale starting at `axis`, broadcast over all others (scale_layer.cpp).

    scale is the second bottom, or a learned blob over `num_axes` axes (-1: to the end, 0: a scalar), initialized by
    `filler`, default 1; bias_term adds a bias blob of the same shape.
    """

    num_bottom = (1, 2)
    examples = (
        Example('scale_param { filler { type: "gaussian" std: 1 } }', [(2, 3, 4, 5)]),
        Example("scale_param { axis: 0 num_axes: 2 bias_term: true bias_filler { value: 0.5 } }", [(2, 3, 4, 5)]),
        Example("scale_param { num_axes: 0 filler { value: 3 } }", [(2, 3)]),
        Example("scale_param { axis: -3 bias_term: true }", [(2, 3, 4, 5), (3, 4)]),
    )

    def setup(self, bottom: Shape, second: Shape | None = None) -> None:
        p = self.param.scale_param
        shape = operand_shape(self, p, bottom) if second is None else second
        if second is None:
            self.add_blob(
                shape,
                p.filler if p.HasField("filler") else caffe_pb2.FillerParameter(type="constant", value=1),
            )
        if p.bias_term:
            self.add_blob(shape, p.bias_filler)

    def top_shapes(self, bottom: Shape, second: Shape | None = None) -> list[Shape]:
        scale = self.blobs[0].shape if second is None else second
        self.begin = aligned(self, self.param.scale_param, bottom, scale)
        return [bottom]

    def forward(self, x: Tensor, second: Tensor | None = None) -> Tensor:
        weights = [blob.tensor for blob in self.blobs]
        scale = weights[0] if second is None else second
        shape = scale.shape + (1,) * (x.dim() - self.begin - scale.dim())
        if not self.param.scale_param.bias_term:
            return x * scale.view(shape) if second is None else x * scale.reshape(shape)
        return torch.addcmul(weights[-1].view(shape), x, scale.reshape(shape))

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.scale_param
        shape = g.shape(bottoms[0])
        scale = bottoms[1] if len(bottoms) > 1 else g.constant(self.blobs[0].data, "scale")
        product = g.temp("product") if p.bias_term else tops[0]
        scale_shape = self.blobs[-1].shape if self.blobs else g.shape(bottoms[1])
        begin = aligned(self, p, shape, scale_shape)
        g.node("Mul", [bottoms[0], aligned_to_onnx(g, scale, scale_shape, len(shape) - begin, len(shape))], [product])
        if p.bias_term:
            bias = g.constant(self.blobs[-1].data, "bias")
            g.node("Add", [product, aligned_to_onnx(g, bias, scale_shape, len(shape) - begin, len(shape))], tops)
