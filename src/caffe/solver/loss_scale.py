"""Dynamic loss scaling for half precision (Micikevicius et al. 2018).

The loss is scaled up for backward and the diffs are scaled down afterwards, so that small gradients do not underflow.
If a diff overflows, the update is skipped and the scale is halved; after GROWTH iterations without overflow it is
doubled.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch

GROWTH = 2000


class LossScale:
    """The current scale and the number of iterations without overflow; both are part of a solver's state."""

    def __init__(self, scale: float = 65536.0, good_iterations: float = 0) -> None:
        self.scale, self.good_iterations = scale, good_iterations

    @contextlib.contextmanager
    def applied(self, net: Any) -> Iterator[None]:
        """Multiply the diffs of the losses of `net` by `scale` within the context."""
        losses = [blob for node in net.nodes for blob, weight in zip(node.top_blobs, node.losses) if weight]
        for blob in losses:
            blob.grad.mul_(self.scale)
        try:
            yield
        finally:
            for blob in losses:
                blob.grad.div_(self.scale)

    @torch.no_grad()
    def unscale(self, weights: Sequence[Any]) -> bool:
        """Scale the diffs of `weights` (Weight) down, adapt the scale, and return whether all diffs are finite."""
        diffs = [weight.blob.grad.div_(self.scale) for weight in weights]
        finite = bool(torch.stack([diff.isfinite().all() for diff in diffs]).all())
        self.good_iterations = self.good_iterations + 1 if finite else 0
        if not finite:
            self.scale /= 2
        elif self.good_iterations == GROWTH:
            self.scale, self.good_iterations = self.scale * 2, 0
        return finite
