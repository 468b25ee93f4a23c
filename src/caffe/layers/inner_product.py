"""InnerProduct: the fully connected layer."""

from __future__ import annotations

import math
from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register

FEW_PRODUCTS = 1 << 14  # up to this size, float64 sums cost nothing and avoid rounding that depends on the BLAS


@register
class InnerProduct(Layer):
    """y = x W^T + b over all axes from `axis` on (inner_product_layer.cpp).

    K is the number of inputs. Weights are num_output x K, or K x num_output with `transpose`; the bias num_output.
    """

    examples = (
        Example('inner_product_param { num_output: 7 weight_filler { type: "xavier" } }', [(2, 3, 4, 5)]),
        Example(
            'inner_product_param { num_output: 4 axis: 2 transpose: true weight_filler { type: "msra" } }',
            [(2, 3, 4)],
        ),
        Example(
            'inner_product_param { num_output: 4 bias_term: false weight_filler { type: "gaussian" } }',
            [(5, 6)],
        ),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.inner_product_param
        self.need(p.num_output > 0, "num_output must be positive, received %d", p.num_output)
        self.begin = self.axis(p.axis, bottom)
        self.inputs = math.prod(bottom[self.begin :])
        shape = (self.inputs, p.num_output) if p.transpose else (p.num_output, self.inputs)
        self.add_blob(shape, p.weight_filler)
        if p.bias_term:
            self.add_blob((p.num_output,), p.bias_filler)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.need(
            math.prod(bottom[self.begin :]) == self.inputs,
            "the bottom %s does not have the %d inputs of the weights",
            bottom,
            self.inputs,
        )
        return [(*bottom[: self.begin], self.param.inner_product_param.num_output)]

    def forward(self, x: Tensor) -> Tensor:
        weight = self.blobs[0].tensor
        if self.param.inner_product_param.transpose:
            weight = weight.t()
        bias = self.blobs[1].tensor if len(self.blobs) > 1 else None
        x = x.flatten(self.begin)
        if x.numel() * weight.shape[0] > FEW_PRODUCTS or x.dtype != torch.float32:
            return torch.nn.functional.linear(x, weight, bias)
        return torch.nn.functional.linear(x.double(), weight.double(), None if bias is None else bias.double()).float()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.inner_product_param
        shape = g.shape(bottoms[0])
        flat = bottoms[0]
        if len(shape) != 2 or self.begin != 1:
            flat = g.temp("flat")
            # -1: OpenVINO can change the batch size of a net with several inner products of one blob
            g.node("Reshape", [bottoms[0], g.constant([-1, self.inputs], "shape")], [flat])
        plain = len(self.top_shapes(shape)[0]) == 2
        out = tops[0] if plain else g.temp("rows")
        weights = [g.constant(blob.data, f"blob{i}") for i, blob in enumerate(self.blobs)]
        g.node("Gemm", [flat, *weights], [out], transB=0 if p.transpose else 1)
        if not plain:
            self.need(
                not g.dynamic, "axis %d cannot be exported to ONNX after a layer with a variable number of rows", p.axis
            )
            g.node("Reshape", [out, g.constant(list(self.top_shapes(shape)[0]), "shape")], tops)
