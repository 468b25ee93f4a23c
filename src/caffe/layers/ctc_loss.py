"""CTCLoss: connectionist temporal classification."""

from __future__ import annotations

from caffe.layers._ctc import CTCLayer
from caffe.layers.base import Example, Tensor, register


@register
class CTCLoss(CTCLayer):
    """The mean over the sequences of -log p(labels | scores) (Graves et al. 2006).

    Bottoms: scores before the softmax (T x N x C), and labels (N x L, padded with the blank); or indicators (T x N; the
    first 0 after the first step ends a sequence) and labels (L x N, negative after the end); or the lengths of the
    sequences, the lengths of the labels, and labels (L x N). blank_index is 0 by default; -1 is the last class. A
    sequence that is too short for its labels has no loss.
    """

    examples = (
        Example("", [(6, 2, 4), (2, 3)], ("normal", 3)),
        Example("ctc_loss_param { blank_index: -1 }", [(6, 2, 4), (6, 2), (3, 2)], ("normal", "positive", 3)),
    )

    def forward(self, scores: Tensor, *others: Tensor) -> Tensor:
        return self.costs(scores, others).sum() / scores.shape[1]
