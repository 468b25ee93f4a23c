"""ContrastiveLoss."""

from __future__ import annotations

import math

from caffe.core.lazy_torch import Function, torch
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class ContrastiveLoss(Layer):
    """Pulls similar pairs together and pushes others apart (Hadsell et al. 2006; contrastive_loss_layer.cpp).

    The loss is the sum of y d^2 + (1 - y) max(margin - d, 0)^2 divided by 2 N, with d the distance of a and b and y = 1
    for similar pairs. With `legacy_version`, the second term is max(margin - d^2, 0). Bottoms: a and b, N x C; y, N.
    As in Caffe, the gradient divides by d + 1e-4.
    """

    num_bottom = 3
    is_loss = auto_top = True
    no_gradient = (2,)
    no_onnx = "it is a loss, for training only"
    examples = (
        Example("", [(6, 3), (6, 3), (6,)], values=("normal", "normal", "binary")),
        Example(
            "contrastive_loss_param { margin: 2 legacy_version: true }",
            [(6, 3), (6, 3), (6,)],
            values=("normal", "normal", "binary"),
        ),
    )

    def top_shapes(self, a: Shape, b: Shape, similar: Shape) -> list[Shape]:
        _loss.check_same_first(a, b)
        self.need(
            a[1:2] == b[1:2] and math.prod(a[2:]) == math.prod(b[2:]) == 1,
            "the first two bottoms must be N x C with equal shapes, received %s and %s",
            a,
            b,
        )
        self.need(
            math.prod(similar) == a[0],
            "the third bottom must hold one value per pair, received %s for %s",
            similar,
            a,
        )
        return [()]

    def forward(self, a: Tensor, b: Tensor, similar: Tensor) -> Tensor:
        p = self.param.contrastive_loss_param
        return _Contrastive.apply(
            a.float().flatten(1) - b.float().flatten(1),
            similar.reshape(-1, 1).long() != 0,
            p.margin,
            p.legacy_version,
        )


class _Contrastive(Function):
    @staticmethod
    def forward(ctx, difference, similar, margin, legacy):
        square = (difference * difference).sum(1, keepdim=True)
        distance = square.sqrt()
        gap = margin - (square if legacy else distance)
        apart = gap.clamp(min=0) if legacy else gap.clamp(min=0) ** 2
        ctx.save_for_backward(difference, similar, gap, distance)
        ctx.legacy = legacy
        return torch.where(similar, square, apart).sum() / (2 * len(difference))

    @staticmethod
    def backward(ctx, grad):
        difference, similar, gap, distance = ctx.saved_tensors
        push = torch.ones_like(gap) if ctx.legacy else gap / (distance + 1e-4)
        factor = torch.where(similar, 1.0, torch.where(gap > 0, -push, 0.0))
        return grad * factor * difference / len(difference), None, None, None
