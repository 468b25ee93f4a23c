"""Power."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Tensor, register


@register
class Power(Layer):
    """y = (shift + scale * x) ^ power (power_layer.cpp).

    For any x, including NaN, it is 1 if power is 0, and shift ^ power if scale is 0.
    """

    examples = (
        Example("power_param { power: 2 scale: 0.5 shift: 1 }", [(2, 3, 4, 5)]),
        Example("power_param { power: 0.5 scale: 2 shift: 0.25 }", [(2, 3, 4)], values=("positive",)),
        Example("power_param { scale: -1 shift: 1 }", [(2, 3)]),
        Example("power_param { power: 0 }", [(2, 3)]),
    )

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.power_param
        if self._is_constant():
            return (x * 0.0).nan_to_num(0.0, 0.0, 0.0) + self._constant()  # with gradient 0
        y = p.scale * x + p.shift
        return y if p.power == 1 else torch.pow(y, p.power)

    def _is_constant(self):
        return self.param.power_param.power == 0 or self.param.power_param.scale == 0

    def _constant(self):
        p = self.param.power_param
        return 1.0 if p.power == 0 else float(torch.tensor(p.shift) ** p.power)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.power_param
        steps = [("Mul", p.scale), ("Add", p.shift), ("Pow", p.power)]
        if self._is_constant():
            steps = [("Mul", 0.0), ("Add", self._constant())]
        self.onnx_chain(g, bottoms[0], tops[0], steps)
