"""Pass: swap ReLU and the following max pooling, so that ReLU processes fewer values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from caffe.passes.blob_users import is_relu_in_place, nodes_using


def pool_before_relu(nodes: Sequence[Any]) -> None:
    """Run `in-place ReLU, then MAX Pooling` as Pooling, then ReLU.

    Both operations take maxima, so forward is equal bit for bit. So is backward: if the maximum of a window is not
    positive, neither order passes a gradient; otherwise the first maximum is the same.
    """
    for i, node in enumerate(nodes):
        if not is_relu_in_place(node) or any(node.losses):
            continue
        later = [j for j in nodes_using(nodes, node.top_blobs[0]) if j > i]
        if len(later) == 1 and _is_max_pooling(nodes[later[0]]):
            pair = Pair(node.layer, nodes[later[0]].layer)
            node.fast, nodes[later[0]].fast = DeferredReLU(pair), EarlyPooling(pair)
            node.reach = nodes[later[0]].reach = (i, later[0])


def _is_max_pooling(node):
    method = node.layer.param.pooling_param
    return node.layer.type == "Pooling" and method.pool == method.MAX and len(node.tops) == 1


class Pair:
    """A ReLU and the Pooling after it; `tape` is what the swapped forward saved for backward."""

    def __init__(self, relu: Any, pool: Any) -> None:
        self.relu, self.pool = relu, pool
        self.tape: Any = None  # (pooling's input, top)

    def split(self) -> None:
        """Make each layer's backward run its own forward again; repeating ReLU or pooling changes nothing."""
        self.tape = None


class DeferredReLU:
    """Runner for ReLU: the ReLU is applied to the blob only if it is accessed before the next forward."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.fall_back = self.release = pair.split

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        self.pair.tape = None
        self.pair.relu.release()
        if tops[0].has_live_view:
            self.pair.relu.forward_blobs(bottoms, tops, record)
        else:
            bottoms[0].tensor  # noqa: B018  (applies an earlier pending function)
            tops[0].set_pending(torch.relu)

    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        if self.pair.tape is None:  # otherwise Pooling's backward includes the ReLU
            self.pair.relu.backward_blobs(tops, propagate_down, bottoms)


class EarlyPooling:
    """Runner for Pooling: pools the values before the ReLU, then applies the ReLU."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.fall_back = self.release = pair.split

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        pool, source = self.pair.pool, bottoms[0].pending_tensor
        pool.release()
        if source is None:  # the ReLU's top was accessed in between
            return pool.forward_blobs(bottoms, tops, record)
        source = pool.to_memory_format(source.detach()).requires_grad_(bool(record))
        with torch.set_grad_enabled(bool(record)):
            top = pool.forward(source).relu_()
        self.pair.tape = (source, top) if record else None
        tops[0].set(top.detach())

    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        if self.pair.tape is None:
            return self.pair.pool.backward_blobs(tops, propagate_down, bottoms)
        source, top = self.pair.tape
        if any(propagate_down):
            grad = tops[0].grad.to(top.dtype).reshape(top.shape)
            bottoms[0].set_grad(*torch.autograd.grad(top, source, grad, retain_graph=True))
