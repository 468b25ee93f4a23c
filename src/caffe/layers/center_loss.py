"""CenterLoss: distances to the centers of the classes."""

from __future__ import annotations

import math

from caffe.core.lazy_torch import Function, torch
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class CenterLoss(Layer):
    """sum |x - c_y|^2 / (2 N), where c_y is the center of the class of x (caffe-face).

    The blob has one center per class (num_output classes). The gradient of a center is sum (c - x) / (1 + count),
    whatever the loss weight (Wen et al. 2016).
    """

    num_bottom = 2
    is_loss = auto_top = True
    no_gradient = (1,)
    no_onnx = "it is a loss, for training only"
    examples = (
        Example(
            'center_loss_param { num_output: 3 center_filler { type: "gaussian" } }',
            [(4, 5), (4,)],
            values=("normal", 3),
        ),
    )

    def setup(self, x: Shape, label: Shape) -> None:
        p = self.param.center_loss_param
        self.need(p.num_output > 0, "num_output must be positive, received %d", p.num_output)
        self.need(p.distance_type == "L2", "distance_type must be L2, received '%s'", p.distance_type)
        self.begin = self.axis(p.axis, x)
        self.add_blob((p.num_output, math.prod(x[self.begin :])), p.center_filler)

    def top_shapes(self, x: Shape, label: Shape) -> list[Shape]:
        _loss.check_same_first(x, label)
        rows = math.prod(x[: self.begin])
        self.need(math.prod(label) == rows, "expected a label for each of %d rows, received %s", rows, label)
        return [()]

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        index, _ = _loss.class_labels(label.reshape(-1), self.param.center_loss_param.num_output)
        return Distances.apply(x, self.blobs[0].tensor, index)


class Distances(Function):
    """Half the mean squared distance, with the gradient of the centers as in the fork."""

    @staticmethod
    def forward(ctx, x, centers, index):
        difference = x.reshape(len(index), -1) - centers[index]
        ctx.save_for_backward(difference, index)
        ctx.shapes = x.shape, centers.shape
        return (difference * difference).sum() / len(index) / 2

    @staticmethod
    def backward(ctx, dtop):
        difference, index = ctx.saved_tensors
        shape, centers = ctx.shapes
        moves = torch.zeros(centers, dtype=difference.dtype, device=difference.device).index_add_(0, index, -difference)
        counts = torch.bincount(index, minlength=centers[0]).to(difference.dtype)
        return (dtop / len(index) * difference).reshape(shape), moves / (counts + 1)[:, None], None
