"""HSwish."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Tensor, register
from caffe.layers.hard_swish import hard_swish_to_onnx


@register
class HSwish(Layer):
    """y = x * min(max(x + 3, 0), 6) / 6: HardSwish under the name of other forks (Howard et al. 2019)."""

    examples = (Example("", [(2, 3, 4, 5)]),)

    def forward(self, x: Tensor) -> Tensor:
        return x * (x + 3.0).clamp(0.0, 6.0) / 6.0

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        hard_swish_to_onnx(g, bottoms, tops)
