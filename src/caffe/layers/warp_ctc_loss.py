"""WarpCTCLoss: connectionist temporal classification as in caffe_ocr."""

from __future__ import annotations

from caffe.core.lazy_torch import Function
from caffe.layers._ctc import CTCLayer
from caffe.layers.base import Example, Tensor, register


@register
class WarpCTCLoss(CTCLayer):
    """The mean over the sequences of -log p(labels | scores), with the gradient of the sum (caffe_ocr).

    The bottoms are those of CTCLoss; in labels of L x N with blank_index 0, the first class is label 0. A sequence that
    is too short for its labels has no loss and does not count.
    """

    examples = (Example("", [(6, 2, 4, 1), (2, 3)], ("normal", 3)),)

    @property
    def label_offset(self) -> int:
        """What is added to the labels of L x N."""
        return 1 if self.param.ctc_loss_param.blank_index == 0 else 0

    def forward(self, scores: Tensor, *others: Tensor) -> Tensor:
        costs = self.costs(scores, others)
        return _MeanWithGradientOfSum.apply(costs)


class _MeanWithGradientOfSum(Function):
    """The mean of the costs other than 0; its gradient is 1 for each cost."""

    @staticmethod
    def forward(ctx, costs):
        ctx.count = len(costs)
        return costs.sum() / max(int((costs > 0).sum()), 1)

    @staticmethod
    def backward(ctx, grad):
        return grad.expand(ctx.count)
