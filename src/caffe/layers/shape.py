"""Shape: the bottom's extents as values."""

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register


@register
class Shape(Layer):
    """A top of one axis that holds the extents of the bottom (Synopsys)."""

    no_gradient = (0,)
    differentiable = False
    examples = (Example("", [(2, 3, 4)]),)

    def top_shapes(self, bottom):
        return [(len(bottom),)]

    def forward(self, x):
        return torch.tensor(x.shape, dtype=x.dtype, device=x.device)

    def to_onnx(self, g, bottoms, tops):
        shape = g.constant(np.array(g.shape(bottoms[0]), np.float32), "shape")
        g.node("Identity", [shape], tops)
