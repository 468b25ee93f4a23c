"""Net: a graph of layers connected by named blobs, with forward and backward (Caffe's net.cpp)."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from caffe.core import config, glog, numpy_blob, precision
from caffe.core.blob import Blob
from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.layers import _python_replacements, base
from caffe.net import debug_info, filter_and_split
from caffe.net.pycaffe_api import NetMethods
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net
from caffe.proto.upgrade import unfuse
from caffe.utils import faults


@dataclasses.dataclass
class Node:
    """One layer of a net with its blobs and its backward settings."""

    layer: base.Layer
    bottoms: list  # blob names
    tops: list
    bottom_blobs: list  # the blobs themselves
    top_blobs: list
    losses: list = dataclasses.field(default_factory=list)  # one loss weight per top
    shapes: list = dataclasses.field(default_factory=list)  # bottom shapes that the current top shapes belong to
    need_backward: bool = False
    bottom_need_backward: list = dataclasses.field(default_factory=list)
    fast: object = None  # the optimized runner that a pass installed (see caffe.passes)
    reach: tuple = ()  # first and last index of the nodes that must run together with `fast`


@dataclasses.dataclass
class Weight:
    """One learnable weight blob, the layer that owns it, and its learning-rate and decay multipliers."""

    blob: Blob
    layer: str
    index: int
    lr_mult: float = 1.0
    decay_mult: float = 1.0
    explicit: tuple[bool, ...] = (False, False)  # whether lr_mult and decay_mult were given in the prototxt


class Net(NetMethods):
    """A network read from a prototxt, in phase TRAIN or TEST.

    The older form ``Net(network_file, weights, phase)`` works as well.

    Parameters
    ----------
    network_file : str
        Path of the prototxt.
    phase : int
        ``caffe.TRAIN`` or ``caffe.TEST``.
    level : int
        NetState level, compared with `min_level` and `max_level` of the layers' rules.
    stages : list of str, optional
        NetState stages, compared with `stage` and `not_stage` of the layers' rules.
    weights : str, optional
        Path of a .caffemodel or .h5 file.

    Raises
    ------
    CaffeError
        All errors of the prototxt at once, each with its file and line.
    """

    build_only = False

    def __init__(
        self,
        network_file: str | os.PathLike[str],
        phase: Any,
        *rest: int,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: Any = None,
    ) -> None:
        if rest:  # Net(file, weights, phase)
            phase, weights = rest[0], phase
        file = read_net(network_file)
        self._build(file.param, file.where, int(phase), level, stages or ())
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_param(
        cls,
        param: Any,
        phase: int,
        level: int = 0,
        stages: Sequence[str] = (),
        where: Sequence[str] | None = None,
        build_only: bool = False,
    ) -> Net:
        """Create a Net from a NetParameter in memory.

        Parameters
        ----------
        param : NetParameter
            In the current (V2) format.
        phase, level, stages
            The NetState, as for ``Net(...)``.
        where : list of str, optional
            The source location of each layer, for error messages.
        build_only : bool
            Infer shapes only, without importing torch: the net takes weights and can be exported, but not run.
        """
        net = cls.__new__(cls)
        net.build_only = build_only
        locations = where or [f"<net>:layer {i + 1}" for i in range(len(param.layer))]
        net._build(param, locations, phase, level, stages)
        return net

    # -- construction ------------------------------------------------------------------------------

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
        self._blobs: OrderedDict[str, Any] = OrderedDict()
        self._weights: list[Weight] = []
        self._owners: dict[str, Weight] = {}  # by param name
        self._nodes: list[Node] = []
        self.input_names: list[str] = []
        self._callbacks: dict[str, list[Any]] = {}
        self.debug_reporter: debug_info.Reporter | None = None
        self.backward_observer: Callable[[int], Any] | None = None  # called after a layer; graph passes stay on
        self._make_layers()
        filter_and_split.mark_loss_paths(self._nodes)
        self._set_propagate_down()
        if config.fast() and not self.build_only:
            from caffe import passes

            passes.apply(self._nodes)
        debug_info.set_enabled(self, param.debug_info)

    @staticmethod
    def _check_names(param, where):
        seen: dict[str, str] = {}
        for layer, location in zip(param.layer, where):
            if layer.name in seen:
                glog.warning(f"{location}: layer name '{layer.name}' is already used at {seen[layer.name]}")
            seen.setdefault(layer.name, location)

    def _make_layers(self):
        error_type: type[CaffeError] = CaffeError
        cause = None
        self._errors: list[tuple[str, str, str, str]] = []  # (location, layer, type, message)
        self._failed_tops: set[str] = set()
        self._available: OrderedDict[str, bool] = OrderedDict()  # tops that no layer has read yet
        need: dict[str, bool] = {}  # blob name -> whether its gradient is needed
        for param, location in zip(self.param.layer, self.where):
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
        self.output_names = sorted(self._available)

    def _check_alone(self, param, location):
        """Record the errors of a layer's own parameters; its bottoms do not exist."""
        try:
            base.check(param, param.phase)
        except CaffeError as error:
            self._errors.append((location, param.name, param.type, str(error)))

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
            raise _DependentError
        if name not in self._blobs:
            from caffe.errors import did_you_mean

            raise CaffeError(f"unknown bottom blob '{name}' (bottom {index}){did_you_mean(name, self._blobs)}")
        self._available.pop(name, None)
        return self._blobs[name]

    def _tops(self, param, layer):
        tops = []
        for i, name in enumerate(param.top):
            if i < len(param.bottom) and param.bottom[i] == name:
                blob = self._blobs[name]  # in place
            elif name in self._blobs:
                raise CaffeError(f"top blob '{name}' is already produced by another layer")
            else:
                blob = numpy_blob.make((), self.device)
            tops.append((name, blob))
            self._available[name] = True
            if param.type == "Input":
                self.input_names.append(name)
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
            self._weights.append(weight)
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
        for node in self._nodes:
            if self.param.force_backward:
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

    def _reshape_layer(self, layer, bottoms, tops):
        shapes = layer.top_shapes(*[b.shape for b in bottoms])
        for (name, blob), shape in zip(tops, shapes):
            if tuple(shape) != blob.shape and any(blob is bottom for bottom in bottoms):
                raise CaffeError(
                    f"{layer.type} cannot work in place here: its bottom '{name}' has shape {blob.shape}, its top "
                    f"{tuple(shape)}; give the top another name"
                )
            blob.reshape(*shape)

    # -- running -----------------------------------------------------------------------------------

    def forward_range(self, start: int, end: int, record: bool = True) -> float:
        """Run layers `start` to `end` and return their loss.

        Parameters
        ----------
        start, end : int
            Layer indices, both inclusive.
        record : bool
            Keep what backward needs.

        Returns
        -------
        float
            The sum of all tops multiplied by their loss weights.
        """
        if self.build_only:
            raise CaffeError(numpy_blob.NOT_RUNNABLE)
        if self.debug_reporter is not None:
            self.debug_reporter.log_inputs()
        loss = 0.0
        for i in range(start, end + 1):
            node = self._nodes[i]
            self._call("before_forward", i)
            with self._annotate_errors(i), precision.autocast(self.precision, self.device):
                self._follow_shapes(node)
                self._runner(node, start, end).forward_blobs(
                    node.bottom_blobs, node.top_blobs, record and node.need_backward
                )
            for blob, weight in zip(node.top_blobs, node.losses):
                if weight:
                    loss += self._weighted_loss(blob, weight)
            self._call("after_forward", i)
        return loss

    def _runner(self, node, first, last):
        """Return what runs `node` within layers `first` to `last`: its layer, or the runner that a pass installed."""
        if node.fast is None:
            return node.layer
        if self._callbacks or first > node.reach[0] or last < node.reach[1]:
            node.fast.fall_back()
            return node.layer
        return node.fast

    def set_precision(self, name: str) -> None:
        """Compute in "float32" (as Caffe does), "bf16", or on CUDA "tf32" or "fp16"; see caffe.core.precision."""
        precision.configure(name, self.device)
        self.precision = name

    def _follow_shapes(self, node):
        """Infer the top shapes again if a bottom changed its shape; raises CaffeError if the layer cannot accept it."""
        shapes = [blob.shape for blob in node.bottom_blobs]
        if shapes != node.shapes:
            self._reshape_layer(node.layer, node.bottom_blobs, list(zip(node.tops, node.top_blobs)))
            node.shapes = shapes

    @contextlib.contextmanager
    def _annotate_errors(self, index):
        """Prefix the message of a CaffeError with the source location and name of layer `index`."""
        try:
            yield
        except CaffeError as error:
            param = self._nodes[index].layer.param
            error.args = (f"{self.where[index]}: layer '{param.name}' ({param.type}): {error}",)
            raise
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            param = self._nodes[index].layer.param
            raise CaffeError(
                f"{self.where[index]}: layer '{param.name}' ({param.type}): not enough memory: {error}"
            ) from error

    def _weighted_loss(self, blob, weight):
        if blob.grad.shape != blob.tensor.shape:
            blob.set_grad(torch.full(blob.shape, float(weight), device=self.device))
        return float((blob.tensor * blob.grad).sum())

    def backward_range(self, start: int, end: int) -> None:
        """Run backward from layer `start` down to layer `end` (both inclusive), using the diffs of their tops."""
        for i in range(start, end - 1, -1):
            node = self._nodes[i]
            self._call("before_backward", i)
            if node.need_backward:
                with self._annotate_errors(i):
                    runner = self._runner(node, end, start)
                    runner.backward_blobs(node.top_blobs, node.bottom_need_backward, node.bottom_blobs)
            self._call("after_backward", i)
            if self.backward_observer is not None:
                self.backward_observer(i)

    def reshape(self) -> None:
        """Infer the shapes of all blobs from the shapes of the input blobs."""
        for node in self._nodes:
            self._reshape_layer(node.layer, node.bottom_blobs, list(zip(node.tops, node.top_blobs)))

    def clear_param_diffs(self) -> None:
        """Set the diffs of all learnable weights to zero."""
        for weight in self._weights:
            weight.blob.clear_grad()

    @property
    def learnable_weights(self) -> list[Weight]:  # type: ignore[override]
        """The weights that the solver updates; shared weights appear once."""
        return self._weights

    def _call(self, event, index):
        for function in self._callbacks.get(event, ()):
            function(index)


def bf16_in_hardware() -> bool:
    """Return whether the GPU or CPU (AVX-512 BF16, AMX) supports bfloat16; otherwise bf16 is slower than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _out_of_memory(error):
    return isinstance(error, MemoryError) or any(
        words in str(error) for words in ("allocate memory", "not enough memory", "out of memory", "bad_alloc")
    )


class _DependentError(Exception):
    """A layer reads the top of a layer that failed; only the first error is reported."""
