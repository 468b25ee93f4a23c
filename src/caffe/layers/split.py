"""Split: passes a blob to several layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Tensor, register

CHUNK_ELEMENTS = 1 << 16  # per thread: the sum of a chunk stays in the L2 cache while the next term is added


@register
class Split(Layer):
    """Every top is the bottom; the diffs of the tops are summed (split_layer.cpp). Net inserts it automatically."""

    num_top = (1, None)
    shares_data = True
    overwritable: int | None = None  # 0 or 1: backward may add the other diffs to the diff of this top
    examples = (Example("", [(2, 3, 4, 5)], tops=2),)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        return tuple(x.view_as(x) for _ in range(self.top_count))

    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        if not propagate_down[0]:
            return
        grads = [top.grad for top in tops]
        if len({grad.dtype for grad in grads}) > 1:
            grads = [grad.float() for grad in grads]
        if self.overwritable is not None and self._may_overwrite(tops[self.overwritable]):
            grads.insert(0, grads.pop(self.overwritable))  # the sum of the first two is the same in both orders
            total = grads[0]
        else:
            total = torch.empty_like(grads[0])
        bottoms[0].set_grad(_sum(grads, total, CHUNK_ELEMENTS * torch.get_num_threads()))

    def _may_overwrite(self, top):
        """Return whether the diff of a top can hold the sum, and nobody sees that it is overwritten."""
        return not self.net.has_callbacks and not top.has_live_grad_view and _is_dense(top.grad)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        for top in tops:
            g.node("Identity", bottoms, [top])


def _is_dense(tensor):
    """Return whether a new tensor like `tensor` has its strides."""
    return tensor.stride() == torch.empty_like(tensor, device="meta").stride()


def _sum(terms, total, chunk):
    """Write the sum of `terms`, from first to last, to `total`, which may be the first; return it."""
    if len(terms) > 2 and all(term.stride() == total.stride() for term in terms):
        parts = list(zip(*(_in_memory_order(array).split(chunk) for array in (total, *terms))))
    else:
        parts = [(total, *terms)]
    for target, *values in parts:
        if len(values) == 1:
            target.copy_(values[0])
        else:
            torch.add(*values[:2], out=target)
        for value in values[2:]:
            target.add_(value)
    return total


def _in_memory_order(tensor):
    """Return the elements of a dense `tensor` as a vector in the order of its memory."""
    return tensor.as_strided((tensor.numel(),), (1,))
