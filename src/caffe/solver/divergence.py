"""Detection of diverged training runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from caffe.errors import CaffeError
from caffe.layers._loss import LossParameter, normalization

SATURATED = 87.33  # -log(FLT_MIN) = 87.3365: softmax assigns probability 0 to all true classes
PATIENCE = 5

TARGETS = {  # by type of loss
    "EuclideanLoss": "the targets: finite, and scaled to about -1 .. 1, because the loss grows with their square",
    "SigmoidCrossEntropyLoss": "the targets: probabilities from 0 to 1",
    "ContrastiveLoss": "the labels of the pairs: 1 for similar, 0 for different",
    "": "the labels: integers from 0 to num_output - 1 of the last layer",
}
ADVICE = """The training has diverged: {event}.
  - lower base_lr in the solver (try a tenth), or set clip_gradients
{targets}
  - check the input: the mean file of another data set or a missing scale of 1/256 has this effect
  - when fine-tuning, give the new layer another name and the old layers a smaller lr_mult"""


class DivergenceMonitor:
    """Checks the loss of every iteration.

    Parameters
    ----------
    worst : float
        A loss that stays at or above this value for PATIENCE iterations counts as divergence.
    losses : sequence of str
        The types of the net's losses, which the advice follows.
    """

    def __init__(self, worst: float = SATURATED, losses: Sequence[str] = ()) -> None:
        self.worst = worst
        self._targets = [f"  - check {TARGETS[kind]}" for kind in _kinds_of_targets(losses)]
        self.saturated = 0

    def check(self, iteration: int, loss: float) -> None:
        """Raise CaffeError if the loss is NaN, infinite, or saturated."""
        if not math.isfinite(loss):
            raise CaffeError(self._advice(f"the loss is {loss} at iteration {iteration}"))
        self.saturated = self.saturated + 1 if loss >= self.worst else 0
        if self.saturated >= PATIENCE:
            raise CaffeError(self._advice(f"the loss has been {loss:.6g} for {PATIENCE} iterations up to {iteration}"))

    def _advice(self, event):
        return ADVICE.format(event=event, targets="\n".join(self._targets))


def _kinds_of_targets(losses):
    """Return the keys of TARGETS for the types of losses; losses over classes share one."""
    return list(dict.fromkeys(kind if kind in TARGETS else "" for kind in losses)) or [""]


def loss_types(net: Any) -> list[str]:
    """Return the types of the layers that contribute to the loss of `net`."""
    return [node.layer.type for node in net.nodes if any(node.losses)]


def worst_loss(net: Any) -> float:
    """Return the loss of `net` when every softmax is saturated on a wrong class; infinity if it has other losses.

    Only a mean over the labels has such a bound. A loss summed over pixels, an L2 loss or a cross entropy has none.
    """
    total = 0.0
    for node in net.nodes:
        if any(node.losses):
            param = node.layer.param.loss_param
            if node.layer.type != "SoftmaxWithLoss" or normalization(param, LossParameter.VALID) != LossParameter.VALID:
                return math.inf
            total += node.losses[0]
    return SATURATED * total if total > 0 else math.inf
