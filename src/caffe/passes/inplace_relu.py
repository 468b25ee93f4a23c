"""Pass: a ReLU after a convolution, inner product, sum or max pooling overwrites its input, as in Caffe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from caffe.passes.blob_users import is_relu_in_place, nodes_using, owns_diff
from caffe.proto import caffe_pb2

SUM, MAX = caffe_pb2.EltwiseParameter.SUM, caffe_pb2.PoolingParameter.MAX
# Layers whose backward does not read their tops.
PRODUCERS = ("Convolution", "Deconvolution", "InnerProduct", "BatchNorm", "Scale")


def relu_in_place(nodes: Sequence[Any]) -> None:
    """Make in-place ReLUs after PRODUCERS, sums and max pooling reuse the memory of their bottom in forward."""
    for i, node in enumerate(nodes):
        if node.fast is not None or not is_relu_in_place(node) or any(node.losses):
            continue
        before = [j for j in nodes_using(nodes, node.top_blobs[0]) if j < i]
        if before and _is_producer(nodes[before[-1]]):
            node.fast, node.reach = InPlaceReLU(node.layer, owns_diff(nodes, i)), (before[-1], i)


def _is_producer(node):
    if node.layer.type == "Eltwise":
        return node.layer.param.eltwise_param.operation == SUM
    if node.layer.type == "Pooling":  # its backward reads the places of the maxima; EarlyPooling's reads its top
        return node.fast is None and node.layer.method == MAX and len(node.tops) == 1
    return node.layer.type in PRODUCERS


class InPlaceReLU:
    """Runner for ReLU; if a NumPy view of the blob is alive, it calls the layer itself.

    With `owns_diff`, backward overwrites the diff of the top, as in Caffe.
    """

    def __init__(self, layer: Any, owns_diff: bool) -> None:
        self.layer, self.owns_diff = layer, owns_diff
        self.output: Any = None
        self.producer: Any = None  # the RectifyingConvolution before it, if there is one

    def fall_back(self) -> None:
        self.output = None  # the layer's backward runs its forward again; applying ReLU twice changes nothing

    def release(self) -> None:
        """Free what the last forward saved for backward."""
        self.output = None

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        self.layer.release()
        self.output = None
        if tops[0].has_live_view:
            return self.layer.forward_blobs(bottoms, tops, record)
        output = bottoms[0].tensor.detach()
        if self.producer is None or not self.producer.applied:
            output.relu_()
        self.output = output if record else None
        tops[0].set(output)

    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        if self.output is None:
            return self.layer.backward_blobs(tops, propagate_down, bottoms)
        if any(propagate_down):
            grad = tops[0].grad.to(self.output.dtype).reshape(self.output.shape)
            bottoms[0].set_grad(mask_grad(grad, self.output, self.owns_diff))


def mask_grad(grad: torch.Tensor, output: torch.Tensor, overwrite: bool) -> torch.Tensor:
    """Return `grad` where `output` is positive, otherwise 0: the gradient of a ReLU; `overwrite` reuses its memory."""
    if overwrite:
        return torch.ops.aten.threshold_backward.grad_input(grad, output, 0, grad_input=grad)
    return torch.ops.aten.threshold_backward(grad, output, 0)
