"""L1Loss: absolute or Euclidean differences, as FlowNet uses them for end point errors."""

from __future__ import annotations

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class L1Loss(Layer):
    """The sum of |a - b| / number of items (NVCaffe, FlowNet2); with one bottom, b is 0.

    Differences that are not a number (a missing label), or smaller than `plateau`, are 0. l2_per_location takes the
    root of epsilon plus the sum of squares over the channels at each position (the end point error); a sum less than
    plateau^2 is 0; l2_prescale_by_channels divides the sum by the number of channels. normalize_by_num_entries divides
    by the number of numbers per channel instead of the number of items.
    """

    num_bottom = (1, 2)
    is_loss = auto_top = True
    no_onnx = "it is a loss, for training only"
    examples = (
        Example("", [(2, 3, 4, 5), (2, 3, 4, 5)]),
        Example("l1_loss_param { l2_per_location: true }", [(2, 2, 3, 3), (2, 2, 3, 3)]),
    )

    def top_shapes(self, first: Shape, second: Shape | None = None) -> list[Shape]:
        self.need(second in (None, first), "bottoms must have the same shape, received %s and %s", first, second)
        return [()]

    def forward(self, a: Tensor, b: Tensor | None = None) -> Tensor:
        p = self.param.l1_loss_param
        d = a if b is None else a - b
        known = ~torch.isnan(d)
        d = torch.where(known, d, 0.0)
        divisor = float(a.shape[0])
        if p.normalize_by_num_entries:
            divisor = float(known.sum()) / a.shape[1] if a.dim() > 1 else float(known.sum())
        if not p.l2_per_location:
            size = d.abs()
            return torch.where(size >= p.plateau, size, 0.0).sum() / max(divisor, 1e-30)
        squares = (d * d).sum(1) / (a.shape[1] if p.l2_prescale_by_channels else 1)
        squares = torch.where(squares >= p.plateau**2, squares, 0.0)
        return (squares + p.epsilon).sqrt().sum() / max(divisor, 1e-30)
