"""HardTanH."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers.base import Example, Layer, Tensor, register


@register
class HardTanH(Layer):
    """y = x, limited to -1 .. 1 (Synopsys)."""

    examples = (Example("", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(-1, 1)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        limits = [g.constant(np.float32(limit), name) for limit, name in ((-1, "least"), (1, "most"))]
        g.node("Clip", [bottoms[0], *limits], tops)
