"""LogSoftmax."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers._emit import one
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class LogSoftmax(Layer):
    """y = x - log(sum e^x) along `axis` (Synopsys)."""

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("log_softmax_param { axis: -1 }", [(2, 3, 4)]),
    )

    def setup(self, bottom: Shape) -> None:
        self.along = self.axis(self.param.log_softmax_param.axis, bottom)

    def forward(self, x: Tensor) -> Tensor:
        return torch.log_softmax(x, self.along)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        along = {"axes": [self.along], "keepdims": 1}
        shifted = one(g, "Sub", [bottoms[0], one(g, "ReduceMax", bottoms, "largest", **along)], "shifted")
        total = one(g, "ReduceSum", [one(g, "Exp", [shifted], "exponential")], "total", **along)
        g.node("Sub", [shifted, one(g, "Log", [total], "log")], tops)
