"""ContinuationIndicator: where the sequences of a batch start."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class ContinuationIndicator(Layer):
    """The second bottom of an LSTM whose sequences all start at step 0: time_step x batch_size (kendryte-caffe).

    The first row is 0, the others are 1.
    """

    num_bottom = 0
    differentiable = False
    examples = (Example("continuation_indicator_param { time_step: 3 batch_size: 2 }", []),)

    def setup(self) -> None:
        p = self.param.continuation_indicator_param
        self.need(p.time_step > 0 and p.batch_size > 0, "time_step and batch_size must be positive")

    def top_shapes(self) -> list[Shape]:
        p = self.param.continuation_indicator_param
        return [(p.time_step, p.batch_size)]

    def _values(self):
        values = np.ones(self.top_shapes()[0], np.float32)
        values[0] = 0
        return values

    def forward(self) -> Tensor:
        return torch.from_numpy(self._values()).to(self.device)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Identity", [g.constant(self._values(), "indicators")], tops)
