"""Queries about the readers and writers of a net's blobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def nodes_using(nodes: Sequence[Any], blob: Any) -> list[int]:
    """Return the indices of the nodes that read or write `blob`, in order."""
    return [
        i
        for i, node in enumerate(nodes)
        if any(b is blob for b in node.bottom_blobs) or any(b is blob for b in node.top_blobs)
    ]


# Layers whose backward writes the diff of its bottom to memory that nothing else reads.
OWN_DIFF = ("Convolution", "Deconvolution", "InnerProduct", "Pooling", "LRN", "Split")


def owns_diff(nodes: Sequence[Any], index: int, top: int = 0) -> bool:
    """Return whether the diff of a top of node `index` may be overwritten in backward.

    Otherwise it may share memory with the diff of another blob: Eltwise and Concat pass on the diff of their top.
    """
    later = [j for j in nodes_using(nodes, nodes[index].top_blobs[top]) if j > index]
    return bool(later) and nodes[later[0]].layer.type in OWN_DIFF


def is_relu_in_place(node: Any) -> bool:
    """Return whether `node` is a ReLU without negative slope that works in place."""
    plain = node.layer.type == "ReLU" and not node.layer.param.relu_param.negative_slope
    plain = plain and node.layer.limits == (None, None)
    return plain and node.bottom_blobs[0] is node.top_blobs[0]
