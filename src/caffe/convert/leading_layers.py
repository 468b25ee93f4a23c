"""The leading layers of a net, up to the first one that another runtime cannot run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caffe.net.net import Net


@dataclasses.dataclass(frozen=True)
class LeadingLayers:
    """Layers 0 to `count` - 1 of a net, in the form of a net that `onnx_export` and `flops` take.

    `inputs` are the net's inputs that these layers read; `outputs` are the blobs they write that are outputs of the net
    or that later layers read; `inner` are the blobs they write that no later layer reads or writes.
    """

    name: str
    nodes: list[Any]
    blobs: dict[str, Any]
    inputs: list[str]
    outputs: list[str]
    inner: list[str]

    @property
    def count(self) -> int:
        """Number of layers."""
        return len(self.nodes)


def leading_layers(net: Net) -> LeadingLayers:
    """Return the layers of `net` before the first whose rows depend on values, that has no ONNX form, or is Python."""
    count = next((i for i, node in enumerate(net.nodes) if not _is_exported(node.layer)), len(net.nodes))
    nodes, later = net.nodes[:count], net.nodes[count:]
    written = dict.fromkeys(name for node in nodes for name in node.tops if name not in net.inputs)
    used_later = {name for node in later for name in (*node.bottoms, *node.tops)}
    read = {name for node in nodes for name in node.bottoms}
    return LeadingLayers(
        net.name or "net",
        nodes,
        net.blobs,
        [name for name in net.inputs if name in read],
        [name for name in written if name in used_later or name in net.outputs],
        [name for name in written if name not in used_later and name not in net.outputs],
    )


def _is_exported(layer):
    return not (layer.no_onnx or layer.rows_vary or layer.type == "Python")
