"""Freeing memory in training: which values and gradients a step frees, and when, and what it computes again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from caffe.layers.base import TEST
from caffe.net import segments
from caffe.net.segments import Segment
from caffe.passes.blob_users import owns_diff
from caffe.passes.fft_convolution import FourierConvolution


class Freeing:
    """Runs the training steps of a net and frees each blob as soon as no later layer of the step needs it.

    Without checkpointing, a blob and what its layers saved are freed after the backward pass of the layer that produced
    it. With checkpointing, the forward pass keeps only the blobs between segments of the net, and the backward pass
    computes a segment's other blobs again: the same values bit for bit, since the random numbers and the accumulated
    statistics are those of the first time (Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost).

    Blobs that a program may want are kept: the net's outputs, losses, tops of data layers, and all blobs of Python
    layers. Reading another one raises CaffeError.

    Parameters
    ----------
    net : BaseNet
    checkpointing : bool
    """

    def __init__(self, net: Any, checkpointing: bool = False) -> None:
        self.net = net
        self.last = len(net.nodes) - 1
        kept = _kept_blobs(net)
        self._after_backward = _by_index((first, blob) for blob, first, _ in _lifetimes(net, kept))
        self._releases = _releases(net.nodes)
        for node in net.nodes:
            if isinstance(node.fast, FourierConvolution):  # the weights' spectrum is large and quick to compute
                node.fast.keep_weights_spectrum, node.fast.keep_bottom_spectrum = False, not checkpointing
        _overwrite_diffs_of_splits(net.nodes, kept)
        whole = Segment(0, self.last, repeated=net.phase == TEST)  # a test net has no backward pass: nothing is kept
        self.segments = segments.plan(net.nodes) if checkpointing else [whole]
        self._after_forward = _by_index(
            (last, blob)
            for blob, first, last in _lifetimes(net, kept)
            for segment in self.segments
            if segment.repeated and segment.first <= first and last <= segment.last
        )
        self._states: dict[int, _State] = {}

    def describe(self) -> str:
        """Return what is saved, in the words of the log."""
        repeated = sum(segment.repeated for segment in self.segments)
        if self.net.phase == TEST or not repeated:
            return "blobs freed as soon as possible"
        return f"blobs freed as soon as possible, {repeated} of {len(self.segments)} segments computed twice"

    def forward(self) -> float:
        """Run the net forward and return its loss."""
        self._states, loss = {}, 0.0
        if self.net.has_callbacks:  # they see every layer once, and all blobs
            return self.net.forward_range(0, self.last)
        for segment in self.segments:
            if segment.repeated:
                self._states[segment.first] = _State.of(self.net, segment)
            loss = self.net.forward_range(segment.first, segment.last, record=not segment.repeated, loss=loss)
        return loss

    def backward(self) -> None:
        """Run the net backward."""
        if self.net.has_callbacks:
            return self.net.backward_range(self.last, 0)
        for segment in reversed(self.segments):
            if segment.first in self._states and any(node.need_backward for node in segment.of(self.net.nodes)):
                self._repeat(segment)
            self.net.backward_range(segment.last, segment.first)

    def _repeat(self, segment):
        now = _State.of(self.net, segment)
        self._states.pop(segment.first).restore(self.net, segment)
        self.net.forward_range(segment.first, segment.last)
        now.restore(self.net, segment)

    def after_forward(self, index: int) -> None:
        """Free what is not needed after the unrecorded forward pass of layer `index`."""
        for blob in self._after_forward.get(index, ()):
            blob.free()

    def after_backward(self, index: int) -> None:
        """Free what is not needed after the backward pass of layer `index`."""
        for runner in self._releases.get(index, ()):
            runner.release()
        for blob in self._after_backward.get(index, ()):
            blob.free()


@dataclasses.dataclass
class _State:
    """What a forward pass of a segment changes beside its blobs."""

    generator: Any
    statistics: list[Any]

    @classmethod
    def of(cls, net: Any, segment: Segment) -> _State:
        return cls(net.generator.get_state(), [blob.tensor.detach().clone() for blob in _statistics(net, segment)])

    def restore(self, net: Any, segment: Segment) -> None:
        net.generator.set_state(self.generator)
        for blob, values in zip(_statistics(net, segment), self.statistics):
            blob.tensor.detach().copy_(values)


def _statistics(net, segment):
    return [blob for node in segment.of(net.nodes) for blob in node.layer.accumulated_blobs()]


def _overwrite_diffs_of_splits(nodes: Sequence[Any], kept: set[int]) -> None:
    """Let Split layers sum the diffs of their tops in the memory of one that is freed then."""
    for i, node in enumerate(nodes):
        if node.layer.type == "Split":
            free = [t for t, blob in enumerate(node.top_blobs[:2]) if id(blob) not in kept and owns_diff(nodes, i, t)]
            node.layer.overwritable = free[0] if free else None


def _kept_blobs(net: Any) -> set[int]:
    """Return the ids of the blobs that are never freed."""
    kept = {id(net.blobs[name]) for name in net.output_names}
    for node in net.nodes:
        if not node.bottoms or any(node.losses):
            kept.update(map(id, node.top_blobs))
        if node.layer.type == "Python":
            kept.update(map(id, [*node.bottom_blobs, *node.top_blobs]))
    return kept


def _lifetimes(net: Any, kept: set[int]) -> Iterator[tuple[Any, int, int]]:
    """Yield each blob that may be freed, with the first layer that has it as top, and the last that uses it.

    A runner may use the blobs of one layer in another one of its `reach`.
    """
    for blob in net.blobs.values():
        if id(blob) in kept:
            continue
        users = segments.users(net.nodes, blob)
        if users:
            reaches = [(i, i) if net.nodes[i].fast is None else net.nodes[i].reach for i in users]
            yield blob, min(users[0], reaches[0][0]), max(last for _, last in reaches)


def _by_index(pairs: Iterable[tuple[int, Any]]) -> dict[int, list[Any]]:
    table: dict[int, list[Any]] = {}
    for index, value in pairs:
        table.setdefault(index, []).append(value)
    return table


def _releases(nodes: Sequence[Any]) -> dict[int, list[Any]]:
    """Return what to release after the backward pass of each layer: layers, and runners after their last layer."""
    pairs = [(i, node.layer) for i, node in enumerate(nodes)]
    pairs += [(node.reach[0], node.fast) for node in nodes if node.fast is not None]
    return _by_index(pairs)
