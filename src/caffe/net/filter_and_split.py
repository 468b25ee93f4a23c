"""Transformations of a NetParameter before its layers are created: phase rules, Split layers, gradient paths.

Follows Caffe's net.cpp (FilterNet, StateMeetsRule, Init) and insert_splits.cpp.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from typing import Any

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2


def net_state(phase: int, level: int = 0, stages: Iterable[str] = (), base: Any = None) -> Any:
    """Return the NetState of `phase`, `level` and `stages`; `base` (NetState) gives further stages."""
    state = caffe_pb2.NetState()
    if base is not None:
        state.CopyFrom(base)
    state.phase = phase
    if level:
        state.level = level
    state.stage.extend(stages)
    return state


def meets_rule(state: Any, rule: Any) -> bool:
    """Return whether `state` (NetState) satisfies `rule` (NetStateRule)."""
    if rule.HasField("phase") and rule.phase != state.phase:
        return False
    if rule.HasField("min_level") and state.level < rule.min_level:
        return False
    if rule.HasField("max_level") and state.level > rule.max_level:
        return False
    stages = set(state.stage)
    return all(s in stages for s in rule.stage) and not any(s in stages for s in rule.not_stage)


def included(layer: Any, state: Any) -> bool:
    """Return whether `layer` is part of the net in `state`: one include rule (if any) met, no exclude rule met."""
    if len(layer.include) and len(layer.exclude):
        raise CaffeError("give include rules or exclude rules, not both")
    if len(layer.include):
        return any(meets_rule(state, rule) for rule in layer.include)
    return not any(meets_rule(state, rule) for rule in layer.exclude)


def filter_net(param: Any, state: Any, where: Sequence[str]) -> tuple[Any, list[str]]:
    """Keep the layers that `state` includes.

    Parameters
    ----------
    param : NetParameter
    state : NetState
    where : list of str
        The source location of each layer ("file:line"), for error messages.

    Returns
    -------
    NetParameter, list of str
        The remaining layers and their locations.

    Raises
    ------
    CaffeError
        One line per layer with contradictory rules.
    """
    kept, locations, errors = caffe_pb2.NetParameter(), [], []
    kept.CopyFrom(param)
    del kept.layer[:]
    for layer, location in zip(param.layer, where):
        try:
            if included(layer, state):
                kept.layer.add().CopyFrom(layer)
                locations.append(location)
        except CaffeError as error:
            errors.append(f"{location}: layer '{layer.name}': {error}")
    if errors:
        raise CaffeError("\n".join(errors))
    return kept, locations


def insert_splits(param: Any, where: Sequence[str]) -> tuple[Any, list[str]]:
    """Return (NetParameter, where) with a Split layer after every top that has more than one reader.

    A non-zero loss weight counts as a reader.
    """
    uses, source, loss_weight = _count_uses(param)
    out, locations = caffe_pb2.NetParameter(), []
    out.CopyFrom(param)
    del out.layer[:]
    assigned: collections.Counter[tuple[int, int]] = (
        collections.Counter()
    )  # split tops already assigned to readers, per top

    def split_blob(top):
        layer, index = top
        name = f"{param.layer[layer].top[index]}_{param.layer[layer].name}_{index}_split_{assigned[top]}"
        assigned[top] += 1
        return name

    for i, (original, location) in enumerate(zip(param.layer, where)):
        layer = out.layer.add()
        layer.CopyFrom(original)
        locations.append(location)
        for j in range(len(layer.bottom)):
            top = source.get((i, j))
            if uses[top] > 1:
                layer.bottom[j] = split_blob(top)
        for j in range(len(layer.top)):
            if uses[i, j] > 1:
                _add_split(out, original, j, uses[i, j], loss_weight.get((i, j), 0.0))
                locations.append(location)
                if loss_weight.get((i, j)):
                    layer.loss_weight[j] = 0
                    assigned[i, j] += 1
    return out, locations


def _count_uses(param):
    uses: collections.Counter[tuple[int, int]] = collections.Counter()  # readers per (layer, top)
    source: dict[tuple[int, int], tuple[int, int]] = {}  # (layer, bottom) -> (layer, top)
    loss_weight: dict[tuple[int, int], float] = {}
    last: dict[str, tuple[int, int]] = {}
    for i, layer in enumerate(param.layer):
        for j, name in enumerate(layer.bottom):
            if name in last:  # Net reports unknown bottoms
                source[i, j] = last[name]
                uses[last[name]] += 1
        for j, name in enumerate(layer.top):
            last[name] = (i, j)
        for j, weight in enumerate(layer.loss_weight[: len(layer.top)]):
            loss_weight[i, j] = weight
            if weight:
                uses[i, j] += 1
    return uses, source, loss_weight


def _add_split(out, layer, index, count, weight):
    split = out.layer.add(type="Split")
    split.name = f"{layer.top[index]}_{layer.name}_{index}_split"
    split.bottom.append(layer.top[index])
    for k in range(count):
        split.top.append(f"{split.name}_{k}")
        if weight:
            split.loss_weight.append(0 if k else weight)


def mark_loss_paths(nodes: Sequence[Any]) -> None:
    """Clear `need_backward` of every layer that does not contribute to a loss.

    `nodes` are the layers in order, each with `bottoms` and `tops` (blob names), `losses` (one loss weight per top),
    `need_backward` and `bottom_need_backward`. The last two are changed in place.
    """
    under_loss, skip = set(), set()
    for node in reversed(nodes):
        contributes = any(w for w in node.losses) or any(t in under_loss for t in node.tops)
        if node.need_backward and node.tops and all(t in skip for t in node.tops):
            node.need_backward = False
            node.bottom_need_backward = [False] * len(node.bottoms)
        if not contributes:
            node.need_backward = False
        for i, name in enumerate(node.bottoms):
            if contributes:
                under_loss.add(name)
            else:
                node.bottom_need_backward[i] = False
            if not node.bottom_need_backward[i]:
                skip.add(name)
