"""Ends a training run that has diverged, with advice, before it wastes the night."""

from __future__ import annotations

import math

from caffe.errors import CaffeError
from caffe.layers._loss import LossParameter, normalization

SATURATED = 87.33  # -log(FLT_MIN) = 87.3365: softmax gives the true classes no probability at all
PATIENCE = 5

ADVICE = """The training has diverged: %s.
  - lower base_lr in the solver (try a tenth), or set clip_gradients
  - check the labels: whole numbers from 0 to num_output - 1 of the last layer
  - check the pixels: a mean file of another data set, or a scale of 1/256 missing, has this effect
  - when fine-tuning, give the new layer another name and the old ones a smaller lr_mult"""


class DivergenceMonitor:
    """See every iteration's loss; raise CaffeError on NaN, infinity, or a loss that stays at `worst` (87.3365)."""

    def __init__(self, worst=SATURATED):
        self.worst = worst
        self.saturated = 0

    def see(self, iteration, loss):
        """Raise if the run is lost."""
        if not math.isfinite(loss):
            raise CaffeError(ADVICE % ("the loss is %s at iteration %d" % (loss, iteration)))
        self.saturated = self.saturated + 1 if loss >= self.worst else 0
        if self.saturated >= PATIENCE:
            raise CaffeError(
                ADVICE % ("the loss has been %.6g for %d iterations up to %d" % (loss, PATIENCE, iteration))
            )


def worst_loss(net):
    """The loss that `net` (a caffe.Net) has when its softmaxes are all wrong and sure; infinite where others count too.

    Only a mean over the labels has such a bound: a loss summed over pixels, an L2 or a cross entropy may be any number.
    """
    total = 0.0
    for node in net._nodes:
        if any(node.losses):
            param = node.layer.param.loss_param
            if node.layer.type != "SoftmaxWithLoss" or normalization(param, LossParameter.VALID) != LossParameter.VALID:
                return math.inf
            total += node.losses[0]
    return SATURATED * total if total > 0 else math.inf
