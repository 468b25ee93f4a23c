"""Net: layers run one after the other on named blobs, forward and backward (Caffe's net.cpp)."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import OrderedDict

from caffe.core import config, glog, numpy_blob, precision
from caffe.core.blob import Blob
from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.layers import _python_replacements, base
from caffe.net import debug_info, filter_and_split
from caffe.net.pycaffe_api import NetMethods
from caffe.proto import caffe_pb2, unfuse
from caffe.proto.read import read_net
from caffe.utils import faults


@dataclasses.dataclass
class Node:
    """One layer in its net: the layer, the names of its blobs and what backward asks of it."""

    layer: base.Layer
    bottoms: list  # blob names
    tops: list
    bottom_blobs: list  # the blobs themselves
    top_blobs: list
    losses: list = dataclasses.field(default_factory=list)  # loss weight by top
    shapes: list = dataclasses.field(default_factory=list)  # the bottoms' shapes that the tops' shapes were made for
    need_backward: bool = False
    bottom_need_backward: list = dataclasses.field(default_factory=list)
    fast: object = None  # what a pass put in the layer's place (see caffe.passes)
    reach: tuple = ()  # first and last index of the nodes that `fast` counts on running with it


@dataclasses.dataclass
class Weight:
    """One learnable weight blob: its owner, and what the solver multiplies its rate and decay by."""

    blob: Blob
    layer: str
    index: int
    lr_mult: float = 1.0
    decay_mult: float = 1.0


class Net(NetMethods):
    """A network read from a prototxt, in phase TRAIN or TEST.

    ``Net(network_file, phase, level=0, stages=None, weights=None)``, or the older ``Net(network_file, weights, phase)``.
    Faults of the description are raised together, each with its file and line.
    """

    build_only = False

    def __init__(self, network_file, phase, *rest, level=0, stages=None, weights=None):
        if rest:  # Net(file, weights, phase)
            phase, weights = rest[0], phase
        file = read_net(network_file)
        self._build(file.param, file.where, int(phase), level, stages or ())
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_param(cls, param, phase, level=0, stages=(), where=None, build_only=False):
        """Make a Net of a NetParameter (V2) in memory; `where` names the place of each layer in error messages.

        One that is only `build_only` has shapes, takes weights and can be exported, all without torch; it cannot be run.
        """
        net = cls.__new__(cls)
        net.build_only = build_only
        places = where or ["<net>:layer %d" % (i + 1) for i in range(len(param.layer))]
        net._build(param, places, phase, level, stages)
        return net

    # -- making ------------------------------------------------------------------------------------

    def _build(self, param, where, phase, level, stages):
        state = caffe_pb2.NetState()
        state.CopyFrom(param.state)
        state.phase = phase
        if level:
            state.level = level
        state.stage.extend(stages)
        self.phase = phase
        self.precision = "float32"
        self.device = None if self.build_only else config.device()
        self.generator = None if self.build_only else torch.Generator().manual_seed(config.next_seed())
        param, where = filter_and_split.filter_net(param, state, where)
        self._check_names(param, where)
        param = _python_replacements.replace(param, phase == base.TRAIN)
        param, where = unfuse.unfuse(param, where)
        self.param, self.where = filter_and_split.insert_splits(param, where)
        self.name = param.name
        self._blobs, self._weights, self._owners, self._nodes = OrderedDict(), [], {}, []
        self.input_names, self._callbacks, self.debug_reporter = [], {}, None
        self._make_layers()
        filter_and_split.mark_loss_paths(self._nodes)
        self._set_propagate_down()
        if config.fast() and not self.build_only:
            from caffe import passes

            passes.apply(self._nodes)
        debug_info.switch(self, param.debug_info)

    @staticmethod
    def _check_names(param, where):
        seen = {}
        for layer, place in zip(param.layer, where):
            if layer.name in seen:
                glog.warning(f"{place}: layer '{layer.name}' has the name of the layer at {seen[layer.name]}")
            seen.setdefault(layer.name, place)

    def _make_layers(self):
        self._faults, self._failed_tops, self._available = [], set(), OrderedDict()
        kind, cause = CaffeError, None
        need = {}  # blob name -> whether a derivative by it is wanted
        for param, place in zip(self.param.layer, self.where):
            if not param.HasField("phase"):
                param.phase = self.phase
            try:
                self._make_layer(param, need)
            except CaffeError as error:
                self._faults.append((place, param.name, param.type, str(error)))
                kind, cause = type(error) if len(self._faults) == 1 else CaffeError, cause or error.__cause__
                self._failed_tops.update(param.top)
            except _DependentFault:
                self._failed_tops.update(param.top)
                self._check_alone(param, place)
        if self._faults:
            error = kind("\n".join(faults.grouped(self._faults)))  # what a Python layer's code raised keeps its kind
            error.layers = [name for _, name, _, _ in self._faults]
            raise error from cause
        self.output_names = sorted(self._available)

    def _check_alone(self, param, place):
        """Note what is wrong with a layer by itself, whose bottoms are not made."""
        try:
            base.check(param, param.phase)
        except CaffeError as error:
            self._faults.append((place, param.name, param.type, str(error)))

    def _make_layer(self, param, need):
        bottoms = [self._bottom(param, i, name) for i, name in enumerate(param.bottom)]
        layer = base.create(param, param.phase, self.device, self.generator)
        layer.net = self
        tops = self._tops(param, layer)
        self._check_counts(layer, len(bottoms), len(tops))
        shapes = [b.shape for b in bottoms]
        layer.setup_blobs(bottoms, [blob for _, blob in tops])
        layer.setup(*shapes)
        self._reshape_layer(layer, bottoms, tops)
        node = Node(layer, list(param.bottom), [name for name, _ in tops], bottoms, [blob for _, blob in tops])
        node.shapes = shapes
        node.losses = self._loss_weights(layer, len(tops))
        for blob, weight in zip(node.top_blobs, node.losses):
            if weight:
                blob.set_grad(torch.full(blob.shape, float(weight), device=self.device))
        self._add_weights(layer)
        self._infer_need_backward(node, need)
        for name, blob in tops:
            self._blobs[name] = blob
        self._nodes.append(node)

    def _bottom(self, param, index, name):
        if name in self._failed_tops:
            raise _DependentFault
        if name not in self._blobs:
            from caffe.errors import did_you_mean

            raise CaffeError("unknown bottom blob '%s' (bottom %d)%s" % (name, index, did_you_mean(name, self._blobs)))
        self._available.pop(name, None)
        return self._blobs[name]

    def _tops(self, param, layer):
        tops = []
        for i, name in enumerate(param.top):
            if i < len(param.bottom) and param.bottom[i] == name:
                blob = self._blobs[name]  # in place
            elif name in self._blobs:
                raise CaffeError(f"top blob '{name}' is produced by another layer already")
            else:
                blob = numpy_blob.make((), self.device)
            tops.append((name, blob))
            self._available[name] = True
            if param.type == "Input":
                self.input_names.append(name)
        least = layer.num_top if isinstance(layer.num_top, int) else layer.num_top[0]
        while layer.auto_top and len(tops) < least:
            name = "(automatic)" if len(tops) == len(param.top) else "(automatic %d)" % len(tops)
            tops.append((param.name + " " + name, numpy_blob.make((), self.device)))
            param.top.append(tops[-1][0])
        return tops

    @staticmethod
    def _check_counts(layer, bottoms, tops):
        for what, allowed, received in (("bottom", layer.num_bottom, bottoms), ("top", layer.num_top, tops)):
            least, most = (allowed, allowed) if isinstance(allowed, int) else allowed
            if received < least or (most is not None and received > most):
                wanted = (
                    str(least)
                    if least == most
                    else "%d or more" % least
                    if most is None
                    else "%d to %d" % (least, most)
                )
                raise CaffeError("%s takes %s %s blob(s), received %d" % (layer.type, wanted, what, received))
        shared = set(layer.param.bottom) & set(layer.param.top)
        if shared and not layer.in_place:
            raise CaffeError(f"{layer.type} cannot work in place: give its top another name than '{min(shared)}'")
        if layer.same_count and bottoms != tops:
            raise CaffeError("%s takes as many tops as bottoms, received %d and %d" % (layer.type, bottoms, tops))

    @staticmethod
    def _loss_weights(layer, tops):
        given = list(layer.param.loss_weight)
        if layer.is_loss and not given:
            given = [1.0] + [0.0] * (tops - 1)
        if given and len(given) != tops and not (layer.is_loss and len(given) == 1):
            raise CaffeError("loss_weight must be given once a top or not at all: %d for %d tops" % (len(given), tops))
        return (given + [0.0] * tops)[:tops]

    def _add_weights(self, layer):
        specs = list(layer.param.param)
        if len(specs) > len(layer.blobs):
            raise CaffeError("%d param { } were given, the layer has %d weight blobs" % (len(specs), len(layer.blobs)))
        for i, blob in enumerate(layer.blobs):
            spec = specs[i] if i < len(specs) else caffe_pb2.ParamSpec()
            layer.param_propagate_down.append(spec.lr_mult != 0)
            if spec.name and spec.name in self._owners:
                self._share(layer, i, spec)
                continue
            weight = Weight(blob, layer.name, i, spec.lr_mult, spec.decay_mult)
            weight.given = (spec.HasField("lr_mult"), spec.HasField("decay_mult"))
            self._weights.append(weight)
            if spec.name:
                self._owners[spec.name] = weight

    def _share(self, layer, index, spec):
        owner, mine = self._owners[spec.name], layer.blobs[index]
        permissive = spec.share_mode == caffe_pb2.ParamSpec.PERMISSIVE
        if owner.blob.count != mine.count if permissive else owner.blob.shape != mine.shape:
            raise CaffeError(
                "param '{}' is shared with layer '{}', where it has shape {}; here it has {}{}".format(
                    spec.name, owner.layer, owner.blob.shape, mine.shape, "" if permissive else " (share_mode: STRICT)"
                )
            )
        for i, (field, mult) in enumerate((("lr_mult", spec.lr_mult), ("decay_mult", spec.decay_mult))):
            if spec.HasField(field):
                if owner.given[i] and getattr(owner, field) != mult:
                    raise CaffeError(f"param '{spec.name}' is shared, but has two values of {field}")
                setattr(owner, field, mult)
                owner.given = tuple(given or k == i for k, given in enumerate(owner.given))
        layer.blobs[index] = owner.blob if owner.blob.shape == mine.shape else owner.blob.view(mine.shape)

    def _infer_need_backward(self, node, need):
        param = node.layer.param
        if len(param.propagate_down) not in (0, len(node.bottoms)):
            raise CaffeError("propagate_down must be given once a bottom or not at all")
        needed = [need.get(name, False) for name in node.bottoms]
        # As in Caffe propagate_down decides which bottoms get a diff, but does not make a layer run backward by itself.
        node.bottom_need_backward = list(param.propagate_down) or needed
        node.need_backward = any(needed) or any(node.layer.param_propagate_down)
        for name in node.tops:
            need[name] = node.need_backward

    def _set_propagate_down(self):
        for node in self._nodes:
            if self.param.force_backward:
                node.need_backward = True
                node.bottom_need_backward = [
                    want or node.layer.allow_force_backward(i) for i, want in enumerate(node.bottom_need_backward)
                ]
                node.layer.param_propagate_down = [True] * len(node.layer.blobs)
            node.layer.propagate_down = node.bottom_need_backward
            node.layer.loss_weights = node.losses
            for blob, want in zip(node.layer.blobs, node.layer.param_propagate_down):
                if want:
                    blob.require_grad()

    def _reshape_layer(self, layer, bottoms, tops):
        shapes = layer.top_shapes(*[b.shape for b in bottoms])
        for (_, blob), shape in zip(tops, shapes):
            blob.reshape(*shape)

    # -- running -----------------------------------------------------------------------------------

    def forward_range(self, start, end, record=True):
        """Run layers `start` to `end` (inclusive); returns the loss: each top times its loss weight, summed."""
        if self.build_only:
            raise CaffeError("this net was made to be described, not to be run")
        loss = 0.0
        for i in range(start, end + 1):
            node = self._nodes[i]
            self._call("before_forward", i)
            with self._annotate_errors(i), precision.products(self.precision, self.device):
                self._follow_shapes(node)
                self._runner(node, start, end).forward_blobs(
                    node.bottom_blobs, node.top_blobs, record and node.need_backward
                )
            for blob, weight in zip(node.top_blobs, node.losses):
                if weight:
                    loss += self._weighted(blob, weight)
            self._call("after_forward", i)
        return loss

    def _runner(self, node, first, last):
        """What runs `node` as one of layers `first` to `last`: its layer, or what a pass made of it and its neighbours."""
        if node.fast is None:
            return node.layer
        if self._callbacks or first > node.reach[0] or last < node.reach[1]:
            node.fast.fall_back()
            return node.layer
        return node.fast

    def set_precision(self, name):
        """ "float32" (Caffe's), "bf16", and on CUDA "tf32" and "fp16": see caffe.core.precision."""
        precision.choose(name, self.device)
        self.precision = name

    def _follow_shapes(self, node):
        """Have the layer look at bottoms whose shape changed since it last did, and refuse what no longer fits."""
        shapes = [blob.shape for blob in node.bottom_blobs]
        if shapes != node.shapes:
            self._reshape_layer(node.layer, node.bottom_blobs, list(zip(node.tops, node.top_blobs)))
            node.shapes = shapes

    @contextlib.contextmanager
    def _annotate_errors(self, index):
        """Put the place and name of layer `index` before what a CaffeError says."""
        try:
            yield
        except CaffeError as error:
            param = self._nodes[index].layer.param
            error.args = (f"{self.where[index]}: layer '{param.name}' ({param.type}): {error}",)
            raise

    def _weighted(self, blob, weight):
        if blob.grad.shape != blob.tensor.shape:
            blob.set_grad(torch.full(blob.shape, float(weight), device=self.device))
        return float((blob.tensor * blob.grad).sum())

    def backward_range(self, start, end):
        """Run the backward of layers `start` down to `end` (inclusive) from the diffs that their tops hold."""
        for i in range(start, end - 1, -1):
            node = self._nodes[i]
            self._call("before_backward", i)
            if node.need_backward:
                with self._annotate_errors(i):
                    runner = self._runner(node, end, start)
                    runner.backward_blobs(node.top_blobs, node.bottom_need_backward, node.bottom_blobs)
            self._call("after_backward", i)

    def reshape(self):
        """Give every blob the shape that follows from the input blobs' shapes."""
        for node in self._nodes:
            self._reshape_layer(node.layer, node.bottom_blobs, list(zip(node.tops, node.top_blobs)))

    def clear_param_diffs(self):
        """Set the diffs of all learnable weights to zero."""
        for weight in self._weights:
            weight.blob.clear_grad()

    @property
    def learnable_weights(self):
        """The Weight records the solver updates: shared weights once."""
        return self._weights

    def _call(self, event, index):
        for function in self._callbacks.get(event, ()):
            function(index)


def bf16_in_hardware():
    """Whether this processor multiplies bfloat16 (AVX-512 BF16 or AMX); elsewhere bf16 is slower than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


class _DependentFault(Exception):
    """This layer reads a blob that a faulty layer would have made; the first fault is the one to report."""
