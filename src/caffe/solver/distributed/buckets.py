"""Sums the diffs of the weights over all processes, in buckets, while backward still computes the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from caffe.solver.distributed.group import Group

BUCKET_BYTES = 8 << 20


class Bucket:
    """Weights whose diffs travel together; complete when backward has passed layer `lowest`."""

    def __init__(self, weights: Sequence[Any], lowest: int, extra: int, device: Any) -> None:
        self.weights, self.lowest = weights, lowest
        self._count = sum(weight.blob.count for weight in weights)
        self._buffer = torch.zeros(self._count + extra, device=device)
        self._work: Any = None

    def send(self, group: Group, extra: Sequence[float] = ()) -> None:
        """Pack the diffs, and `extra` numbers behind them, and start to sum them."""
        parts = [weight.blob.grad.detach().reshape(-1) for weight in self.weights]
        if parts:
            torch.cat(parts, out=self._buffer[: self._count])
        self._buffer[self._count :] = torch.tensor(extra, dtype=torch.float32)
        self._work = group.sum(self._buffer, wait=False)

    def receive(self, group: Group) -> list[float]:
        """Wait for the sums; set the diffs to the mean over the processes and return the sums of the extra numbers."""
        group.finish(self._work)
        self._work = None
        extra = self._buffer[self._count :].tolist()
        self._buffer.div_(group.size)
        first = 0
        for weight in self.weights:
            part = self._buffer[first : first + weight.blob.count]
            weight.blob.set_grad(part.view(weight.blob.shape))
            first += weight.blob.count
        return extra


class GradientBuckets:
    """The buckets of a net, in the order in which backward completes them.

    A bucket is sent as soon as backward has passed the lowest layer that adds to one of its diffs, which serves shared
    weights as well. The last bucket is sent after backward and carries `extra` numbers.

    Parameters
    ----------
    group : Group
    net : Net
    extra : int
        How many numbers the last bucket carries.
    limit : int
        Size of a bucket in bytes; a larger weight has a bucket of its own.
    """

    def __init__(self, group: Group, net: Any, extra: int, limit: int = BUCKET_BYTES) -> None:
        self.group = group
        lowest = lowest_writers(net)
        weights = [(low, i) for i, low in enumerate(lowest) if low is not None]
        parts: list[list[tuple[int, int]]] = [[]]
        size = 0
        for low, i in sorted(weights, reverse=True):
            count = 4 * net.learnable_weights[i].blob.count
            if size and size + count > limit:
                parts.append([])
                size = 0
            parts[-1].append((low, i))
            size += count
        self.buckets = [
            Bucket(
                [net.learnable_weights[i] for _, i in part],
                min((low for low, _ in part), default=0),
                extra if part is parts[-1] else 0,
                net.device,
            )
            for part in parts
        ]
        self._sent = 0

    def layer_done(self, index: int) -> None:
        """Send what is complete after backward of layer `index`; the last bucket waits for `finish`."""
        while self._sent < len(self.buckets) - 1 and self.buckets[self._sent].lowest >= index:
            self.buckets[self._sent].send(self.group)
            self._sent += 1

    def finish(self, extra: Sequence[float]) -> list[float]:
        """Send the rest and wait for all; return the sums of `extra`."""
        for bucket in self.buckets[self._sent : -1]:
            bucket.send(self.group)
        self.buckets[-1].send(self.group, extra)
        self._sent = 0
        return [bucket.receive(self.group) for bucket in self.buckets][-1]


def lowest_writers(net: Any) -> list[int | None]:
    """Return for every learnable weight the lowest layer whose backward adds to its diff; None if none does.

    A layer that a graph pass runs together with others may add as late as the lowest of them runs.
    """
    lowest: dict[int, int] = {}
    for index, node in enumerate(net.nodes):
        first = min(index, node.reach[0]) if node.fast is not None else index
        for blob, needed in zip(node.layer.blobs, node.layer.param_propagate_down):
            if needed and node.need_backward:
                key = _memory(blob)
                lowest[key] = min(lowest.get(key, first), first)
    return [lowest.get(_memory(weight.blob)) for weight in net.learnable_weights]


def _memory(blob):
    return blob.tensor.data_ptr()
