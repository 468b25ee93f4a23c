"""InnerProduct: the fully connected layer."""

from __future__ import annotations

import math
from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers._unit_rows import unit_rows, unit_rows_of
from caffe.layers.base import Example, Layer, Shape, Tensor, register

FEW_PRODUCTS = 1 << 14  # up to this size, float64 sums cost nothing and avoid rounding that depends on the BLAS


@register
class InnerProduct(Layer):
    """y = x W^T + b over all axes from `axis` on (inner_product_layer.cpp).

    K is the number of inputs. Weights are num_output x K, or K x num_output with `transpose`; the bias num_output.
    In caffe-windows, a second and a third bottom, if any, have the weights and the bias instead of blobs, and with
    `normalize` each row of the layer's weights is divided by sqrt(sum of squares + 1e-6): in TRAIN the blob itself,
    before each forward.
    """

    num_bottom = (1, 3)

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

    def setup(self, bottom: Shape, *weights: Shape) -> None:
        p = self.param.inner_product_param
        self.need(weights or p.num_output > 0, "num_output must be positive, received %d", p.num_output)
        self.need(not (p.normalize and p.transpose), "normalize with transpose is not implemented")
        self.begin = self.axis(p.axis, bottom)
        self.inputs = math.prod(bottom[self.begin :])
        shape = (self.inputs, p.num_output) if p.transpose else (p.num_output, self.inputs)
        if not weights:
            self.add_blob(shape, p.weight_filler)
        if p.bias_term and len(weights) < 2:
            self.add_blob((weights[0][0] if weights else p.num_output,), p.bias_filler)

    def top_shapes(self, bottom: Shape, *weights: Shape) -> list[Shape]:
        p = self.param.inner_product_param
        outputs = weights[0][0] if weights else p.num_output
        self.need(
            math.prod(bottom[self.begin :]) == self.inputs,
            "the bottom %s does not have the %d inputs of the weights",
            bottom,
            self.inputs,
        )
        if weights:
            self.need(not p.transpose, "transpose with a bottom of weights is not implemented")
            self.need(
                math.prod(weights[0][1:]) == self.inputs and math.prod(weights[-1]) in (outputs, outputs * self.inputs),
                "bottoms 1 and 2, weights and bias, must be outputs x %d and outputs, received %s",
                self.inputs,
                weights,
            )
        return [(*bottom[: self.begin], outputs)]

    def _own(self, bottoms):
        """Return the weight and the bias (or None) among the bottoms and the blobs."""
        p = self.param.inner_product_param
        own = [blob.tensor for blob in self.blobs]
        if not bottoms:
            own[0] = own[0].t() if p.transpose else unit_rows(own[0], self.phase) if p.normalize else own[0]
        weight, *bias = [*bottoms, *own]
        return (weight.flatten(1), *bias, None)[:2]

    def forward(self, x: Tensor, *bottoms: Tensor) -> Tensor:
        weight, bias = self._own(bottoms)
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
        top = self.top_shapes(*map(g.shape, bottoms))[0]
        plain = len(top) == 2
        out = tops[0] if plain else g.temp("rows")
        arrays = [blob.data for blob in self.blobs]
        if p.normalize and len(bottoms) == 1:
            arrays[0] = unit_rows_of(arrays[0])
        weights = [g.constant(array, f"blob{i}") for i, array in enumerate(arrays)]
        if len(bottoms) > 1:
            rows = g.temp("weight")
            g.node("Reshape", [bottoms[1], g.constant([-1, self.inputs], "rows")], [rows])
            weights = [rows, *bottoms[2:], *weights]
        g.node("Gemm", [flat, *weights], [out], transB=0 if p.transpose else 1)
        if not plain:
            self.need(
                not g.dynamic, "axis %d cannot be exported to ONNX after a layer with a variable number of rows", p.axis
            )
            g.node("Reshape", [out, g.constant(list(top), "shape")], tops)
