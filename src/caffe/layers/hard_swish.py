"""HardSwish."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers.base import Example, Layer, Tensor, register


@register
class HardSwish(Layer):
    """y = x * min(max(x + 3, 0), 6) / 6 (Synopsys; Howard et al. 2019)."""

    examples = (Example("", [(2, 3, 4, 5)]),)

    def forward(self, x: Tensor) -> Tensor:
        return x * (x + 3.0).clamp(0.0, 6.0) / 6.0

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        hard_swish_to_onnx(g, bottoms, tops)


def hard_swish_to_onnx(g, bottoms, tops):
    """Emit x * clip(x + 3, 0, 6) / 6."""
    three, zero, six = (g.constant(np.array(v, np.float32), n) for v, n in ((3, "three"), (0, "zero"), (6, "six")))
    shifted, gate, product = g.temp("shifted"), g.temp("gate"), g.temp("product")
    g.node("Add", [bottoms[0], three], [shifted])
    g.node("Clip", [shifted, zero, six], [gate])
    g.node("Mul", [bottoms[0], gate], [product])
    g.node("Div", [product, six], tops)
