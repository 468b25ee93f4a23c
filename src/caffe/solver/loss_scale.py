"""What keeps half precision's small derivatives above zero: the loss is scaled up for backward, the diffs down after it.

(Micikevicius et al. 2018.) A scale that made a diff overflow costs the iteration its update and is halved; one that has
been good for GROWTH iterations is doubled.
"""

from __future__ import annotations

import contextlib

import torch

GROWTH = 2000


class LossScale:
    """`scale`, and how many iterations it has been `good` for; both belong to a run's state."""

    def __init__(self, scale=65536.0, good=0):
        self.scale, self.good = scale, good

    @contextlib.contextmanager
    def applied(self, net):
        """Meanwhile the diffs of `net`'s losses are `scale` times their weights."""
        losses = [blob for node in net._nodes for blob, weight in zip(node.top_blobs, node.losses) if weight]
        for blob in losses:
            blob.grad.mul_(self.scale)
        try:
            yield
        finally:
            for blob in losses:
                blob.grad.div_(self.scale)

    @torch.no_grad()
    def unscale(self, weights):
        """Scale the diffs of `weights` (Weight) down; returns whether all are finite, and adapts the scale."""
        diffs = [weight.blob.grad.div_(self.scale) for weight in weights]
        finite = bool(torch.stack([diff.isfinite().all() for diff in diffs]).all())
        self.good = self.good + 1 if finite else 0
        if not finite:
            self.scale /= 2
        elif self.good == GROWTH:
            self.scale, self.good = self.scale * 2, 0
        return finite
