"""EuclideanLoss."""

from __future__ import annotations

import math

from caffe.layers import _loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class EuclideanLoss(Layer):
    """The sum of (x - t)^2 divided by 2 N, with N the batch size (euclidean_loss_layer.cpp).

    Both bottoms receive a gradient.
    """

    num_bottom = 2
    is_loss = auto_top = True
    no_onnx = "it is a loss, for training only"
    examples = (Example("", [(4, 3), (4, 3)]), Example("loss_weight: 0.5", [(2, 3, 4), (2, 12)]))

    def top_shapes(self, data: Shape, target: Shape) -> list[Shape]:
        _loss.check_same_first(data, target)
        self.need(
            math.prod(data[1:]) == math.prod(target[1:]),
            "both bottoms must have the same number of values per item, received %s and %s",
            data,
            target,
        )
        return [()]

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        difference = x.float().reshape(-1) - target.float().reshape(-1)
        return difference.dot(difference) / (2 * max(1, x.shape[0] if x.dim() else 1))
