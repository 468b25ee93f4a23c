"""SmoothL1Loss."""

from __future__ import annotations

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class SmoothL1Loss(Layer):
    """Smooth L1 loss of a - b, divided by the number of items (Girshick 2015, Fast R-CNN).

    Bottoms: a, b, and optionally the weights w_in and w_out. With d = w_in * (a - b), the loss is the sum of w_out *
    (0.5 (sigma d)^2 if |d| < 1 / sigma^2, otherwise |d| - 0.5 / sigma^2).
    """

    num_bottom = (2, 4)
    is_loss = auto_top = True
    no_gradient = (2, 3)
    no_onnx = "it is a loss, for training only"
    examples = (
        Example("", [(4, 5), (4, 5)]),
        Example("smooth_l1_loss_param { sigma: 3 }", [(4, 5, 2, 2)] * 4, ("normal", "normal", "binary", "positive")),
    )

    def top_shapes(self, first: Shape, *others: Shape) -> list[Shape]:
        self.need(len(others) != 2, "expected both weights or none")
        for other in others:
            self.need(other == first, "all bottoms must have the same shape, received %s and %s", first, other)
        return [()]

    def forward(self, a: Tensor, b: Tensor, inside: Tensor | None = None, outside: Tensor | None = None) -> Tensor:
        d = a - b if inside is None else inside * (a - b)
        square = self.param.smooth_l1_loss_param.sigma**2
        size = d.abs()
        losses = torch.where(size < 1 / square, 0.5 * square * d * d, size - 0.5 / square)
        return (losses if outside is None else losses * outside).sum() / a.shape[0]
