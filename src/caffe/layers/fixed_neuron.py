"""FixedNeuron: rounds values to fixed-point numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers._emit import one
from caffe.layers.base import TEST, Example, Layer, Shape, Tensor, register


@register
class FixedNeuron(Layer):
    """Rounds to multiples of 2^-p and limits to bit_width bits, of which one is the sign (Xilinx' Caffe, DeepPhi).

    The blob is p, the position of the point, which the quantizer of Xilinx finds; here, the layer is for TEST only.
    Halves are rounded up, as the DPU does; with follow_data_layer, away from 0. With `enable: false` it is a copy.
    """

    differentiable = False
    examples = (
        Example("fixed_param { bit_width: 4 }", [(2, 3, 4)]),
        Example("fixed_param { bit_width: 4 follow_data_layer: true }", [(2, 3, 4)]),
        Example("fixed_param { enable: false }", [(2, 3, 4)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.fixed_param
        self.need(p.bit_width > 0, "bit_width must be positive, received %d", p.bit_width)
        self.need(self.phase == TEST or not p.enable, "the quantizer, phase TRAIN, is not implemented")
        self.add_blob((1,))

    def _range(self):
        """Return the step and the limits."""
        step = 2.0 ** -float(self.blobs[0].data[0])
        most = 2.0 ** (self.param.fixed_param.bit_width - 1)
        return step, -most * step, (most - 1) * step

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.fixed_param
        if not p.enable:
            return x
        step, least, most = self._range()
        value = x / step
        away = torch.sign(value) * torch.floor(value.abs() + 0.5)
        return ((away if p.follow_data_layer else torch.floor(value + 0.5)) * step).clamp(least, most)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.fixed_param
        if not p.enable:
            g.node("Identity", bottoms, tops)
            return
        step, *limits = self._range()
        name = one(g, "Mul", [bottoms[0], g.constant(np.float32(1 / step), "steps")], "value")
        sign = one(g, "Sign", [name], "sign") if p.follow_data_layer else ""
        size = one(g, "Abs", [name], "size") if sign else name
        half = one(g, "Add", [size, g.constant(np.float32(0.5), "half")], "half")
        whole = one(g, "Floor", [half], "whole")
        whole = one(g, "Mul", [whole, sign], "signed") if sign else whole
        scaled = one(g, "Mul", [whole, g.constant(np.float32(step), "step")], "scaled")
        g.node("Clip", [scaled, *(g.constant(np.float32(limit), f"limit{i}") for i, limit in enumerate(limits))], tops)
