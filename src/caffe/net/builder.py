"""Builds the graph of a net: filters and splits its layers, creates them, connects blobs and infers shapes.

Follows Net<Dtype>::Init of Caffe's net.cpp.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from caffe.core import glog, numpy_blob
from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError, did_you_mean
from caffe.layers import _python_replacements, base
from caffe.net import filter_and_split, layer_faults
from caffe.net.graph import Graph, Node, Weight
from caffe.proto import caffe_pb2
from caffe.proto.upgrade import unfuse
from caffe.utils import faults


def build(net: Any, param: Any, where: Sequence[str], state: Any) -> Graph:
    """Create the layers and blobs of a net.

    Parameters
    ----------
    net : BaseNet
        The net that the layers belong to; gives their device and random generator (None: only shapes are inferred).
    param : NetParameter
        In the current (V2) format, before its layers are filtered by phase.
    where : sequence of str
        The source location of each layer, for error messages.
    state : NetState
        Phase, level and stages.

    Raises
    ------
    CaffeError
        All errors of the prototxt at once, each with its file and line.
    """
    param, where = filter_and_split.filter_net(param, state, where)
    _check_names(param, where)
    param = _python_replacements.replace(param, state.phase == base.TRAIN)
    param, where = unfuse.unfuse(param, where)
    return _Builder(net, *filter_and_split.insert_splits(param, where), state.phase).build()


def infer_tops(layer: base.Layer, bottoms: Sequence[Any], names: Sequence[str], tops: Sequence[Any]) -> None:
    """Give the blobs `tops`, called `names`, the shapes that `layer` computes from those of its bottoms."""
    shapes = [b.shape for b in bottoms]
    with layer_faults.reported(shapes):
        shapes = layer.top_shapes(*shapes)
    for name, blob, shape in zip(names, tops, shapes):
        if tuple(shape) != blob.shape and any(blob is bottom for bottom in bottoms):
            raise CaffeError(
                f"{layer.type} cannot work in place here: its bottom '{name}' has shape {blob.shape}, its top "
                f"{tuple(shape)}; give the top another name"
            )
        blob.reshape(*shape)


def _check_names(param, where):
    seen: dict[str, str] = {}
    for layer, location in zip(param.layer, where):
        if layer.name in seen:
            glog.warning(f"{location}: layer name '{layer.name}' is already used at {seen[layer.name]}")
        seen.setdefault(layer.name, location)


class _Builder:
    """The state of one build."""

    def __init__(self, net, param, where, phase):
        self.net, self.phase = net, phase
        self.device, self.generator = net.device, net.generator
        self.graph = Graph(param, where)
        self._owners: dict[str, Weight] = {}  # by param name
        self._errors: list[tuple[str, str, str, str]] = []  # (location, layer, type, message)
        self._failed_tops: set[str] = set()
        self._available: OrderedDict[str, bool] = OrderedDict()  # tops that no layer has read yet

    def build(self):
        """Return the graph."""
        self._make_layers()
        filter_and_split.mark_loss_paths(self.graph.nodes)
        self._set_propagate_down()
        return self.graph

    def _make_layers(self):
        error_type: type[CaffeError] = CaffeError
        cause = None
        need: dict[str, bool] = {}  # blob name -> whether its gradient is needed
        for param, location in zip(self.graph.param.layer, self.graph.where):
            if not param.HasField("phase"):
                param.phase = self.phase
            try:
                self._make_layer(param, need)
            except CaffeError as error:
                self._errors.append((location, param.name, param.type, str(error)))
                error_type, cause = type(error) if len(self._errors) == 1 else CaffeError, cause or error.__cause__
                self._failed_tops.update(param.top)
            except _DependentError:
                self._failed_tops.update(param.top)
                self._check_alone(param, location)
        if self._errors:
            failure = error_type("\n".join(faults.grouped(self._errors)))  # keeps the type of a Python layer's error
            failure.layers = [name for _, name, _, _ in self._errors]
            raise failure from cause
        self.graph.output_names = sorted(self._available)

    def _check_alone(self, param, location):
        """Record the errors of a layer's own parameters; its bottoms do not exist."""
        try:
            base.check(param, param.phase)
        except CaffeError as error:
            self._errors.append((location, param.name, param.type, str(error)))

    def _make_layer(self, param, need):
        bottoms = [self._bottom(param, i, name) for i, name in enumerate(param.bottom)]
        layer = base.create(param, param.phase, self.device, self.generator)
        layer.net = self.net
        tops = self._tops(param, layer)
        self._check_counts(layer, len(bottoms), len(tops))
        shapes = [b.shape for b in bottoms]
        layer.setup_blobs(bottoms, [blob for _, blob in tops])
        with layer_faults.reported(shapes):
            layer.setup(*shapes)
        infer_tops(layer, bottoms, [name for name, _ in tops], [blob for _, blob in tops])
        node = Node(layer, list(param.bottom), [name for name, _ in tops], bottoms, [blob for _, blob in tops])
        node.shapes = shapes
        node.losses = self._loss_weights(layer, len(tops))
        for blob, weight in zip(node.top_blobs, node.losses):
            if weight and self.device is not None:
                blob.set_grad(torch.full(blob.shape, float(weight), device=self.device))
        self._add_weights(layer)
        self._infer_need_backward(node, need)
        for name, blob in tops:
            self.graph.blobs[name] = blob
        self.graph.nodes.append(node)

    def _bottom(self, param, index, name):
        if name in self._failed_tops:
            raise _DependentError
        if name not in self.graph.blobs:
            raise CaffeError(f"unknown bottom blob '{name}' (bottom {index}){did_you_mean(name, self.graph.blobs)}")
        self._available.pop(name, None)
        return self.graph.blobs[name]

    def _tops(self, param, layer):
        tops = []
        for i, name in enumerate(param.top):
            if i < len(param.bottom) and param.bottom[i] == name:
                blob = self.graph.blobs[name]  # in place
            elif name in self.graph.blobs:
                raise CaffeError(f"top blob '{name}' is already produced by another layer")
            else:
                blob = numpy_blob.make((), self.device)
            tops.append((name, blob))
            self._available[name] = True
            if param.type == "Input":
                self.graph.input_names.append(name)
        least = layer.num_top if isinstance(layer.num_top, int) else layer.num_top[0]
        while layer.auto_top and len(tops) < least:
            tops.append(("(automatic)", numpy_blob.make((), self.device)))  # Caffe's name; not an output of the net
            layer.automatic_tops += 1
        return tops

    @staticmethod
    def _check_counts(layer, bottoms, tops):
        for kind, allowed, received in (("bottom", layer.num_bottom, bottoms), ("top", layer.num_top, tops)):
            least, most = (allowed, allowed) if isinstance(allowed, int) else allowed
            if received < least or (most is not None and received > most):
                expected = f"{least} or more" if most is None else f"{least}" if least == most else f"{least} to {most}"
                raise CaffeError(f"{layer.type} takes {expected} {kind} blob(s), received {received}")
        shared = set(layer.param.bottom) & set(layer.param.top)
        if shared and not layer.in_place:
            raise CaffeError(f"{layer.type} cannot work in place: give its top another name than '{min(shared)}'")
        if layer.same_count and bottoms != tops:
            raise CaffeError(f"{layer.type} takes as many tops as bottoms, received {tops} tops and {bottoms} bottoms")

    @staticmethod
    def _loss_weights(layer, tops):
        weights = list(layer.param.loss_weight)
        if layer.is_loss and not weights:
            weights = [1.0] + [0.0] * (tops - 1)
        if weights and len(weights) != tops and not (layer.is_loss and len(weights) == 1):
            raise CaffeError(f"expected one loss_weight per top ({tops}) or none, received {len(weights)}")
        return (weights + [0.0] * tops)[:tops]

    def _add_weights(self, layer):
        specs = list(layer.param.param)
        if len(specs) > len(layer.blobs):
            raise CaffeError(f"received {len(specs)} param {{ }}, but the layer has {len(layer.blobs)} weight blobs")
        for i, blob in enumerate(layer.blobs):
            spec = specs[i] if i < len(specs) else caffe_pb2.ParamSpec()
            layer.param_propagate_down.append(spec.lr_mult != 0)
            if spec.name and spec.name in self._owners:
                self._share_weight(layer, i, spec)
                continue
            explicit = (spec.HasField("lr_mult"), spec.HasField("decay_mult"))
            weight = Weight(blob, layer.name, i, spec.lr_mult, spec.decay_mult, explicit)
            self.graph.weights.append(weight)
            if spec.name:
                self._owners[spec.name] = weight

    def _share_weight(self, layer, index, spec):
        owner, blob = self._owners[spec.name], layer.blobs[index]
        permissive = spec.share_mode == caffe_pb2.ParamSpec.PERMISSIVE
        if owner.blob.count != blob.count if permissive else owner.blob.shape != blob.shape:
            mode = "" if permissive else " (share_mode: STRICT)"
            raise CaffeError(
                f"param '{spec.name}' is shared with layer '{owner.layer}', where it has shape {owner.blob.shape}; "
                f"here it has {blob.shape}{mode}"
            )
        for i, (field, mult) in enumerate((("lr_mult", spec.lr_mult), ("decay_mult", spec.decay_mult))):
            if spec.HasField(field):
                if owner.explicit[i] and getattr(owner, field) != mult:
                    raise CaffeError(f"param '{spec.name}' is shared, but has two values of {field}")
                setattr(owner, field, mult)
                owner.explicit = tuple(explicit or k == i for k, explicit in enumerate(owner.explicit))
        layer.blobs[index] = owner.blob if owner.blob.shape == blob.shape else owner.blob.view(blob.shape)

    def _infer_need_backward(self, node, need):
        param = node.layer.param
        if len(param.propagate_down) not in (0, len(node.bottoms)):
            raise CaffeError(
                f"expected one propagate_down per bottom ({len(node.bottoms)}) or none, "
                f"received {len(param.propagate_down)}"
            )
        needed = [need.get(name, False) for name in node.bottoms]
        # As in Caffe, propagate_down selects the bottoms that get a diff, but does not make a layer run backward.
        node.bottom_need_backward = list(param.propagate_down) or needed
        node.need_backward = any(needed) or any(node.layer.param_propagate_down)
        for name in node.tops:
            need[name] = node.need_backward

    def _set_propagate_down(self):
        for node in self.graph.nodes:
            if self.graph.param.force_backward:
                node.need_backward = True
                node.bottom_need_backward = [
                    needed or node.layer.allow_force_backward(i) for i, needed in enumerate(node.bottom_need_backward)
                ]
                node.layer.param_propagate_down = [True] * len(node.layer.blobs)
            node.layer.propagate_down = node.bottom_need_backward
            node.layer.loss_weights = node.losses
            for blob, needs_grad in zip(node.layer.blobs, node.layer.param_propagate_down):
                if needs_grad:
                    blob.require_grad()


class _DependentError(Exception):
    """A layer reads the top of a layer that failed; only the first error is reported."""
