"""What a Net does with its description before it makes a layer: phase rules, splits, who needs a derivative.

After Caffe's net.cpp (FilterNet, StateMeetsRule, Init) and insert_splits.cpp.
"""

from __future__ import annotations

import collections

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2


def net_state(phase, level=0, stages=()):
    """NetState of `phase`, `level` and `stages`."""
    return caffe_pb2.NetState(phase=phase, level=level, stage=list(stages))


def meets_rule(state, rule):
    """Whether `state` (NetState) satisfies `rule` (NetStateRule)."""
    if rule.HasField("phase") and rule.phase != state.phase:
        return False
    if rule.HasField("min_level") and state.level < rule.min_level:
        return False
    if rule.HasField("max_level") and state.level > rule.max_level:
        return False
    stages = set(state.stage)
    return all(s in stages for s in rule.stage) and not any(s in stages for s in rule.not_stage)


def included(layer, state):
    """Whether `layer` is part of the net in `state`: no include rule, or one met; no exclude rule met."""
    if len(layer.include) and len(layer.exclude):
        raise CaffeError("give include rules or exclude rules, not both")
    if len(layer.include):
        return any(meets_rule(state, rule) for rule in layer.include)
    return not any(meets_rule(state, rule) for rule in layer.exclude)


def filter_net(param, state, where):
    """Return (NetParameter, where) with the layers that `state` includes; `where` holds a place for each layer."""
    kept, places, faults = caffe_pb2.NetParameter(), [], []
    kept.CopyFrom(param)
    del kept.layer[:]
    for layer, place in zip(param.layer, where):
        try:
            if included(layer, state):
                kept.layer.add().CopyFrom(layer)
                places.append(place)
        except CaffeError as error:
            faults.append(f"{place}: layer '{layer.name}': {error}")
    if faults:
        raise CaffeError("\n".join(faults))
    return kept, places


def insert_splits(param, where):
    """Return (NetParameter, where) with a Split layer behind every top that more than one layer (or a loss weight) reads."""
    uses, source, loss_weight = _count_uses(param)
    out, places = caffe_pb2.NetParameter(), []
    out.CopyFrom(param)
    del out.layer[:]
    given = collections.Counter()  # how many readers of a top have been served

    def split_blob(top):
        layer, index = top
        name = "%s_%s_%d_split_%d" % (
            param.layer[layer].top[index],
            param.layer[layer].name,
            index,
            given[top],
        )
        given[top] += 1
        return name

    for i, (original, place) in enumerate(zip(param.layer, where)):
        layer = out.layer.add()
        layer.CopyFrom(original)
        places.append(place)
        for j in range(len(layer.bottom)):
            top = source.get((i, j))
            if uses[top] > 1:
                layer.bottom[j] = split_blob(top)
        for j in range(len(layer.top)):
            if uses[i, j] > 1:
                _add_split(out, original, j, uses[i, j], loss_weight.get((i, j), 0.0))
                places.append(place)
                if loss_weight.get((i, j)):
                    layer.loss_weight[j] = 0
                    given[i, j] += 1
    return out, places


def _count_uses(param):
    uses, source, loss_weight, last = collections.Counter(), {}, {}, {}
    for i, layer in enumerate(param.layer):
        for j, name in enumerate(layer.bottom):
            if name in last:  # an unknown bottom is the Net's to report
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
    split.name = "%s_%s_%d_split" % (layer.top[index], layer.name, index)
    split.bottom.append(layer.top[index])
    for k in range(count):
        split.top.append("%s_%s_%d_split_%d" % (layer.top[index], layer.name, index, k))
        if weight:
            split.loss_weight.append(0 if k else weight)


def mark_loss_paths(nodes):
    """Take the need for a derivative from everything that does not lead to a loss.

    `nodes`: the net's layers in order, each with `bottoms` and `tops` (blob names), `losses` (loss weight by top),
    `need_backward` and `bottom_need_backward`, which are changed.
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
