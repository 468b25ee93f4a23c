"""LpqLoss: a loss of powers, of FlowNet2."""

from __future__ import annotations

from caffe.core.lazy_torch import torch
from caffe.layers.base import TRAIN, Example, Layer, Shape, Tensor, register


@register
class LpqLoss(Layer):
    """sum over pixels of (sum over channels of (|a - b| + p_epsilon)^p + q_epsilon)^q, divided by the number of items.

    With one bottom, b is 0. Differences that are NaN, where there is no truth, count as 0. l2_prescale_by_channels
    divides the sum over the channels by their number; normalize_by_num_entries divides the loss by the number of
    differences that are not NaN, by channel, instead of the items. `p` and `q` can change at the iterations (forward
    passes in TRAIN) pq_episode_starts_at_iter. Source: FlowNet2 (Ilg et al. 2017).
    """

    num_bottom = (1, 2)
    is_loss = auto_top = True
    no_onnx = "it is a loss, for training only"
    examples = (
        Example("lpq_loss_param { p: 2 q: 0.5 q_epsilon: 0.01 l2_prescale_by_channels: true }", [(2, 2, 3, 4)] * 2),
        Example("lpq_loss_param { p: 1 q: 1 p_epsilon: 0.1 normalize_by_num_entries: true }", [(2, 2, 3, 4)]),
    )

    def setup(self, *bottoms: Shape) -> None:
        p = self.param.lpq_loss_param
        starts = list(p.pq_episode_starts_at_iter) or [0] * (len(p.p) == 1)
        self.need(
            len(starts) == len(p.p) == len(p.q) > 0,
            "expected as many values of p and q as of pq_episode_starts_at_iter, received %d, %d and %d",
            len(p.p),
            len(p.q),
            len(starts),
        )
        self.need(
            starts[0] == 0 and all(a < b for a, b in zip(starts, starts[1:])),
            "pq_episode_starts_at_iter must ascend from 0, received %s",
            starts,
        )
        self.episodes = list(zip(starts, p.p, p.q))
        self.iteration = 0  # of TRAIN

    def top_shapes(self, *bottoms: Shape) -> list[Shape]:
        self.need(len(bottoms[0]) == 4, "the bottoms must have 4 axes, received %s", bottoms[0])
        self.need(
            all(bottom == bottoms[0] for bottom in bottoms),
            "the bottoms must have the same shape, received %s",
            bottoms,
        )
        return [()]

    def state(self) -> dict[str, int]:
        """Return the iteration, which selects p and q."""
        return {"iteration": self.iteration}

    def restore(self, state: dict[str, int]) -> None:
        """Continue from `state`."""
        self.iteration = state["iteration"]

    def forward(self, a: Tensor, b: Tensor | None = None) -> Tensor:
        p = self.param.lpq_loss_param
        _, first, second = [episode for episode in self.episodes if episode[0] <= self.iteration][-1]
        self.iteration += self.phase == TRAIN
        difference = a if b is None else a - b
        known = ~torch.isnan(difference)
        size = torch.where(known, difference, torch.zeros_like(difference)).abs()
        total = (size + p.p_epsilon).pow(first).sum(1)
        if p.l2_prescale_by_channels:
            total = total / a.shape[1]
        count = known.sum() / a.shape[1] if p.normalize_by_num_entries else a.shape[0]
        return (total + p.q_epsilon).pow(second).sum() / count
