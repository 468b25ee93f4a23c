"""CenterLoss: distances to the centres of the classes."""

import math

from caffe.core.lazy_torch import Function, torch
from caffe.layers import _loss
from caffe.layers.base import Example, Layer, register


@register
class CenterLoss(Layer):
    """The sum of |x - c_y|^2 over 2 N, where c_y is the centre of x's class, a row of the blob of num_output classes (Wen et
    al. 2016; caffe-face). Centres move towards their items, by sum (c - x) / (1 + count) whatever the loss weight.
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

    def setup(self, x, label):
        p = self.param.center_loss_param
        self.need(p.num_output > 0, "num_output must be positive, received %d", p.num_output)
        self.need(p.distance_type == "L2", "distance_type must be L2, received '%s'", p.distance_type)
        self.begin = self.axis(p.axis, x)
        self.add_blob((p.num_output, math.prod(x[self.begin :])), p.center_filler)

    def top_shapes(self, x, label):
        _loss.check_same_first(x, label)
        return [()]

    def forward(self, x, label):
        index, _ = _loss.class_labels(label.reshape(-1), self.param.center_loss_param.num_output)
        return Distances.apply(x, self.blobs[0].tensor, index)


class Distances(Function):
    """Half the mean squared distance, with the fork's own derivative by the centres."""

    @staticmethod
    def forward(ctx, x, centres, index):
        apart = x.reshape(len(index), -1) - centres[index]
        ctx.save_for_backward(apart, index)
        ctx.shapes = x.shape, centres.shape
        return (apart * apart).sum() / len(index) / 2

    @staticmethod
    def backward(ctx, dtop):
        apart, index = ctx.saved_tensors
        shape, centres = ctx.shapes
        moves = torch.zeros(centres, dtype=apart.dtype, device=apart.device).index_add_(0, index, -apart)
        counts = torch.bincount(index, minlength=centres[0]).to(apart.dtype)
        return (dtop / len(index) * apart).reshape(shape), moves / (counts + 1)[:, None], None
