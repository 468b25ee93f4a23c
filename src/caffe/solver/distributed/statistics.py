"""The accumulated statistics of batch normalization: local in every process, averaged for tests and snapshots."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from caffe.solver.distributed.group import Group


class Statistics:
    """The statistics of all layers of `net` that accumulate some in TRAIN."""

    def __init__(self, group: Group, net: Any) -> None:
        self.group = group
        self._blobs = [blob for node in net.nodes for blob in node.layer.accumulated_blobs()]

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Average the statistics over the processes within the context, as intel/caffe does."""
        if not self._blobs:
            yield
            return
        local = self.local()
        mean = local.clone()
        self.group.sum(mean)
        self.assign(mean.div_(self.group.size))
        try:
            yield
        finally:
            self.assign(local)

    def local(self) -> torch.Tensor:
        """Return the values of this process as one vector."""
        if not self._blobs:
            return torch.zeros(0)
        return torch.cat([blob.tensor.detach().reshape(-1) for blob in self._blobs])

    def assign(self, values: torch.Tensor) -> None:
        """Set the statistics from a vector."""
        first = 0
        for blob in self._blobs:
            blob.tensor.detach().copy_(values[first : first + blob.count].view(blob.shape))
            first += blob.count
