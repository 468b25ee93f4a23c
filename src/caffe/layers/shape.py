"""Shape: the shape of the bottom as values."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Tensor, register
from caffe.layers.base import Shape as Axes


@register
class Shape(Layer):
    """The shape of the bottom, as a top with one axis (Synopsys)."""

    no_gradient = (0,)
    differentiable = False
    examples = (Example("", [(2, 3, 4)]),)

    def top_shapes(self, bottom: Axes) -> list[Axes]:
        return [(len(bottom),)]

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor(x.shape, dtype=x.dtype).to(x.device)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = g.constant(np.array(g.shape(bottoms[0]), np.float32), "shape")
        g.node("Identity", [shape], tops)
