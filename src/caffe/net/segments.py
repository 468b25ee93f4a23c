"""The segments of a net for gradient checkpointing: where they may end, and which lengths need the least memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from caffe.passes.blob_users import nodes_using as users

LIMITS = 24  # sizes of segments that are compared


@dataclasses.dataclass(frozen=True)
class Segment:
    """Layers `first` to `last`; `repeated`: the backward pass runs them forward again."""

    first: int
    last: int
    repeated: bool

    def of(self, nodes: Sequence[Any]) -> Sequence[Any]:
        """Return the nodes of this segment."""
        return nodes[self.first : self.last + 1]


def plan(nodes: Sequence[Any]) -> list[Segment]:
    """Return the segments whose estimated memory is smallest: that of the blobs between them and of the largest one.

    The last segment is not repeated, since its backward pass follows at once. Neither are layers that would do
    something twice, such as reading data.
    """
    atoms = _atoms(nodes)
    whole = sum(size for *_, size in atoms)
    candidates = {tuple(_grouped(atoms, whole * n / LIMITS)): None for n in range(LIMITS, 0, -1)}
    return list(min(candidates, key=lambda segments: _memory(nodes, segments)))


def boundaries(nodes: Sequence[Any]) -> list[int]:
    """Return the indices of the layers that a segment may start with.

    A segment must not start between layers that run together (`reach`), nor before a layer that changes, in place, a
    blob of an earlier one: the backward pass computes the segment again from the blobs before it.
    """
    forbidden: set[int] = set()
    for i, node in enumerate(nodes):
        start = node.reach[0] if node.fast is not None else i
        for blob in node.top_blobs:
            start = min(start, users(nodes, blob)[0])
        forbidden.update(range(start + 1, i + 1))
    for node in nodes:
        if node.fast is not None:
            forbidden.update(range(node.reach[0] + 1, node.reach[1] + 1))
    return [i for i in range(len(nodes)) if i not in forbidden]


def _atoms(nodes):
    """Return the smallest possible segments as (first, last, whether they may be repeated, bytes of their blobs)."""
    starts = boundaries(nodes)
    atoms = []
    for first, after in zip(starts, [*starts[1:], len(nodes)]):
        part = nodes[first:after]
        atoms.append((first, after - 1, all(_is_repeatable(node) for node in part), _bytes(_tops(part))))
    return atoms


def _is_repeatable(node):
    return bool(node.bottoms) and node.layer.repeatable


def _grouped(atoms, limit):
    """Return segments of at most `limit` bytes, or of one atom."""
    groups: list[list[Any]] = []
    sizes = 0.0
    for atom in atoms:
        *_, repeatable, size = atom
        if groups and groups[-1][-1][2] == repeatable and sizes + size <= limit:
            groups[-1].append(atom)
            sizes += size
        else:
            groups.append([atom])
            sizes = size
    last = len(groups) - 1
    return [Segment(group[0][0], group[-1][1], group[0][2] and i < last) for i, group in enumerate(groups)]


def _memory(nodes, segments):
    """Estimate the bytes of the blobs that `segments` keep, plus those of the largest repeated or last segment."""
    kept, largest = 0, 0
    for segment in segments:
        tops = _tops(segment.of(nodes))
        if segment.repeated:
            kept += _bytes(_crossing(nodes, segment))
            largest = max(largest, _bytes(tops))
        elif segment is segments[-1]:
            largest = max(largest, _bytes(tops))
        else:
            kept += _bytes(tops)
    return kept + largest


def _crossing(nodes, segment):
    """Return the blobs of `segment` that later layers use, one for each memory."""
    blobs: dict[int, Any] = {}
    for node in segment.of(nodes):
        used = [blob for blob in node.top_blobs if users(nodes, blob)[-1] > segment.last]
        blobs.update((id(blob), blob) for blob in (used[:1] if node.layer.shares_data else used))
    return list(blobs.values())


def _tops(nodes):
    """Return the blobs that `nodes` produce, without further views of the same memory."""
    blobs = {id(blob): blob for node in nodes if not node.layer.shares_data for blob in node.top_blobs}
    return list(blobs.values())


def _bytes(blobs):
    return 4 * sum(blob.count for blob in blobs)
