"""SmoothL1Loss."""

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register


@register
class SmoothL1Loss(Layer):
    """The sum over d = w_in * (a - b) of w_out * (0.5 (sigma d)^2 where |d| < 1 / sigma^2, else |d| - 0.5 / sigma^2), divided
    by the number of items (Girshick 2015, Fast R-CNN). Bottoms: a, b, and perhaps the weights w_in and w_out.
    """

    num_bottom = (2, 4)
    is_loss = auto_top = True
    no_gradient = (2, 3)
    no_onnx = "it is a loss, for training only"
    examples = (
        Example("", [(4, 5), (4, 5)]),
        Example("smooth_l1_loss_param { sigma: 3 }", [(4, 5, 2, 2)] * 4, ("normal", "normal", "binary", "positive")),
    )

    def top_shapes(self, first, *others):
        self.need(len(others) != 2, "give both weights or none")
        for other in others:
            self.need(other == first, "all bottoms must have one shape: %s, %s", first, other)
        return [()]

    def forward(self, a, b, inside=None, outside=None):
        d = a - b if inside is None else inside * (a - b)
        square = self.param.smooth_l1_loss_param.sigma**2
        size = d.abs()
        losses = torch.where(size < 1 / square, 0.5 * square * d * d, size - 0.5 / square)
        return (losses if outside is None else losses * outside).sum() / a.shape[0]
