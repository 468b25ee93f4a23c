"""HardSigmoid."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Tensor, register


@register
class HardSigmoid(Layer):
    """y = alpha x + beta, limited to 0 .. 1 (Synopsys)."""

    examples = (Example("hard_sigmoid_param { alpha: 0.3 }", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.hard_sigmoid_param
        return (p.alpha * x + p.beta).clamp(0, 1)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.hard_sigmoid_param
        g.node("HardSigmoid", bottoms, tops, alpha=p.alpha, beta=p.beta)
