"""Base class of layer types. A type is one file with its parameters, top shapes, torch forward and ONNX export.

A new layer type is one module in this package; no other file needs a change::

    @register
    class Power(Layer):
        \"\"\"y = (shift + scale * x) ^ power. (docs/reference/layers.md is generated from the docstring.)\"\"\"

        examples = (Example("power_param { power: 2 scale: 0.5 shift: 1 }", [(2, 3, 4, 5)]),)

        def setup(self, bottom): ...        # Caffe's LayerSetUp: validate the parameters, `self.add_blob(...)`
        def top_shapes(self, bottom): ...   # Caffe's Reshape: list of top shapes (default: shape of the first bottom)
        def forward(self, x): ...           # Caffe's Forward in torch; autograd computes Backward
        def to_onnx(self, g, bottoms, tops): ...

`setup` and `top_shapes` receive one shape (tuple of ints) per bottom, `forward` one tensor per bottom; `forward`
returns a tensor or a tuple with one tensor per top. `self.blobs[i].tensor` are the weights. `self.phase` is TRAIN or
TEST, `self.random(device)` a torch.Generator. Layers with a custom backward override `backward_blobs`, or use a
torch.autograd.Function in `forward`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.core import layout, numpy_blob
from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, fork_fields
from caffe.utils import faults

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST
Shape = tuple[int, ...]
Tensor = Any  # torch.Tensor; torch is imported lazily

registry: dict[str, type[Layer]] = {}


def register(layer: type[Layer]) -> type[Layer]:
    """Register a layer class under its name, which is Caffe's type name; its module must be named after the type."""
    module = layer.__module__.rsplit(".", 1)[-1]
    if module.replace("_", "") != layer.__name__.lower():
        raise CaffeError(f"layer type {layer.__name__} is in {module}.py; its file must be named after the type")
    registry[layer.__name__] = layer
    return layer


@dataclasses.dataclass(frozen=True)
class Example:
    """An example of a layer type, shown in the documentation and run by the conformance test.

    Parameters
    ----------
    text : str
        The fields of the layer other than name, type, bottom and top.
    bottoms : list of tuple of int
        The shapes of the bottoms.
    values : tuple
        The contents of each bottom: "normal" (default), "positive" (0.1 .. 2), "unit" (0 .. 1), "binary" (0 or 1), or
        an int n for labels 0 .. n-1.
    tops : int
        The number of tops.
    phase : int
        TRAIN or TEST.
    """

    text: str
    bottoms: list
    values: tuple = ()
    tops: int = 1
    phase: int = TEST


class Layer:
    """Base class of all layer types; the module's docstring explains how to write one."""

    num_bottom: int | tuple = 1  # an exact number, or (min, max), with None for unlimited
    num_top: int | tuple = 1
    same_count = False  # requires as many tops as bottoms
    is_loss = False  # the first top has loss weight 1 unless loss_weight is given
    deploys_as: str | None = None  # for a loss: the type that replaces it in a deploy net
    auto_top = False  # missing tops are created automatically
    in_place = True  # False: a top must not be one of the bottoms, as in Caffe
    shares_data = False  # the tops share the bottom's memory, as with Caffe's ShareData
    is_data = False  # a data layer, which an Input replaces in a deploy net
    no_gradient: tuple = ()  # indices of bottoms without gradient (labels, indices)
    rows_vary = False  # the number of rows of the tops depends on the values of the bottoms
    needs_every_batch = False  # in a test, what it computes depends on the batches before: processes cannot share them
    differentiable = True  # False: backward raises an error, as Caffe's NOT_IMPLEMENTED
    repeatable = True  # forward may run again with the same random numbers; False if it counts, carries state or writes
    no_onnx: str | None = None  # why the layer is not exported; a deploy net leaves such layers out, except with
    at_inference = False  # True: it has a meaning at inference
    stick_form = False  # to_onnx emits other nodes if g.stick, for the compiler of the stick
    examples: tuple = ()

    def __init__(self, param: Any, phase: int = TEST, device: Any = "cpu", generator: Any = None) -> None:
        self.param = param  # LayerParameter
        self.name, self.type = param.name, param.type
        self.phase = phase
        self.device = None if device is None else torch.device(device)  # None: build-only net
        self.generator = generator  # torch.Generator of the net, on the CPU
        self.net: Any = None  # the Net that the layer belongs to
        self.blobs: list[Any] = []  # weights (Blob), in Caffe's order
        self.loss_weights: list[float] = []
        self.propagate_down: list[bool] = []  # per bottom; set by the Net
        self.param_propagate_down: list[bool] = []  # per weight blob
        self.automatic_tops = 0  # of a loss without a top in the prototxt
        self.memory_format = None  # layout of 4-axis bottoms set by an optimization pass; None: unchanged
        self.native = False  # whether an optimization pass allows the native kernels (caffe.kernels)
        self._tape: Any = None

    # -- overridden by layer types ---------------------------------------------------------------

    def setup(self, *bottoms: Shape) -> None:
        """Validate the parameters and the bottoms' shapes, and allocate `self.blobs`. Runs once."""

    def top_shapes(self, *bottoms: Shape) -> list[Shape]:
        """Return one shape per top for the bottoms' shapes."""
        return [bottoms[0]] * self.top_count

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...] | None:
        """Return the tensor of the top, or a tuple with one tensor per top; None leaves the tops unchanged."""
        raise CaffeError(f"{self.type} has no forward")

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        """Emit the layer's ONNX nodes.

        Parameters
        ----------
        g : caffe.convert.onnx_export.Graph
        bottoms, tops : list of str
            Names of the tensors to read and to write.
        """
        raise CaffeError("{} cannot be exported to ONNX: {}".format(self.type, self.no_onnx or "not implemented"))

    # -- helpers for layer types -----------------------------------------------------------------

    def add_blob(self, shape: Sequence[int], filler: Any = None) -> Any:
        """Append a weight blob of `shape`; `filler` (FillerParameter; None: zeros) initializes it on first access."""
        from caffe.core import fillers

        blob = numpy_blob.make(shape, self.device)
        if filler is not None:
            blob.set_initializer(fillers.make_initializer(filler, blob.shape, self.generator))
        self.blobs.append(blob)
        return blob

    def axis(self, number: int, shape: Sequence[int]) -> int:
        """Return `number` as a non-negative axis of `shape` (CanonicalAxisIndex); raises CaffeError if out of range."""
        if not -len(shape) <= number < len(shape):
            raise CaffeError(f"axis {number} is out of range: the bottom has {len(shape)} axes {tuple(shape)}")
        return number % len(shape)

    def random(self, device: Any) -> Any:
        """Return the torch.Generator for tensors on `device`: the net's, or one seeded by it."""
        if device.type == "cpu" or self.generator is None:
            return self.generator
        return torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=self.generator)))

    def accumulated_blobs(self) -> list[Any]:
        """Return the weight blobs that forward changes in TRAIN: accumulated statistics."""
        return []

    def need(self, condition: Any, text: str, *received: Any) -> None:
        """Raise CaffeError(text % received) unless `condition` is true."""
        if not condition:
            raise CaffeError(text % received if received else text)

    @staticmethod
    def onnx_chain(g: Any, bottom: str, top: str, steps: list[tuple[str, float | None]]) -> None:
        """Emit the `steps` (op, constant or None) one after the other from `bottom` to `top`, omitting neutral ones."""
        neutral = {"Mul": 1, "Add": 0, "Pow": 1}
        steps = [(op, number) for op, number in steps if number is None or number != neutral.get(op)] or [
            ("Identity", None)
        ]
        for i, (op, number) in enumerate(steps):
            out = top if i == len(steps) - 1 else g.temp(op.lower())
            extra = [] if number is None else [g.constant(np.array(number, np.float32), op.lower())]
            g.node(op, [bottom, *extra], [out])
            bottom = out

    def fitted(self, arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Return the blobs of a file in this layer's number, order and shape, for forks that save them differently."""
        return arrays

    @property
    def top_count(self) -> int:
        """The number of tops."""
        return len(self.param.top) + self.automatic_tops

    @property
    def public(self) -> Any:
        """The object that `net.layers` shows for this layer."""
        return self

    def setup_blobs(self, bottoms: list[Any], tops: list[Any]) -> None:
        """Receive the Blobs before `setup`; for layers that keep references to them (Python, data layers)."""

    # -- called by Net ---------------------------------------------------------------------------

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        """Run `forward` on Blobs; `record` keeps what backward needs."""
        inputs, outputs = self._forward(bottoms, tops, record)
        for blob, output in zip(tops, outputs):
            others = [x for x, bottom in zip(inputs, bottoms) if bottom is not blob]
            blob.set(self._unshared(output.detach(), others))

    def _forward(self, bottoms, tops, record):
        flags = self.propagate_down if record else [False] * len(bottoms)
        inputs = [self._input(blob, needs_grad, blob in tops) for blob, needs_grad in zip(bottoms, flags)]
        return inputs, self.run(inputs, record)

    def run(self, inputs: list[Tensor], record: bool = True) -> tuple[Tensor, ...]:
        """Return the tops' tensors for the bottoms' tensors; `record` keeps what backward needs."""
        with torch.set_grad_enabled(bool(record)):
            outputs = self.forward(*inputs)
        if outputs is None:
            return ()
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        self._tape = (inputs, outputs) if record else None
        return outputs

    def _unshared(self, output, bottoms):
        """Return `output`, cloned if it shares memory with a bottom: writing to one must not change the other."""
        if self.shares_data:
            return output
        memory = output.untyped_storage().data_ptr()
        return output.clone() if any(memory == x.untyped_storage().data_ptr() for x in bottoms) else output

    def _input(self, blob, needs_grad, in_place):
        tensor = self.to_memory_format(blob.tensor.detach())
        if in_place and blob.has_live_view:
            tensor = tensor.clone()  # the result will overwrite the memory that autograd saved
        return tensor.requires_grad_(needs_grad)

    def to_memory_format(self, tensor: Tensor) -> Tensor:
        """Return `tensor` in the memory layout that an optimization pass chose for this layer's bottoms."""
        return layout.lay_out(tensor, self.memory_format)

    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        """From the tops' diffs, set the bottoms' diffs and add to the weights' diffs."""
        self.check_backward(propagate_down)
        if not any(propagate_down) and not any(self.param_propagate_down):
            return
        if self._tape is None:
            self._forward(bottoms, tops, record=True)  # forward was not recorded; the tops are not changed
        inputs, outputs = self._tape
        weights = [b for b, needs_grad in zip(self.blobs, self.param_propagate_down) if needs_grad]
        grad_bottoms = [i for i, needs_grad in enumerate(propagate_down) if needs_grad]
        leaves = [inputs[i] for i in grad_bottoms] + [b.tensor for b in weights]
        pairs = [(out, top.grad) for out, top in zip(outputs, tops) if out.requires_grad]
        if pairs:
            values = torch.autograd.grad(
                [out for out, _ in pairs],
                leaves,
                [self._like(grad, out) for out, grad in pairs],
                retain_graph=True,
                allow_unused=True,
            )
        else:
            values = [None] * len(leaves)
        for i, value in zip(grad_bottoms, values):
            bottoms[i].set_grad(torch.zeros_like(inputs[i]) if value is None else value)
        for blob, value in zip(weights, values[len(grad_bottoms) :]):
            if value is not None:
                blob.add_grad(self._unshared_grad(value, tops))

    @staticmethod
    def _unshared_grad(value, tops):
        """Return `value`, cloned if it is a top's diff itself or an expanded view of it, which autograd may return."""
        top_memory = {top.grad.untyped_storage().data_ptr() for top in tops}
        dense = (
            value.is_contiguous() or value.is_contiguous(memory_format=torch.channels_last)
            if value.dim() == 4
            else value.is_contiguous()
        )
        return value if dense and value.untyped_storage().data_ptr() not in top_memory else value.clone()

    def _like(self, grad, output):
        """Return `grad` in the layout of the bottoms; for another one, AVE pooling takes five times as long."""
        return layout.lay_out(grad.to(output.dtype).reshape(output.shape), self.memory_format)

    def check_backward(self, propagate_down: Sequence[bool]) -> None:
        """Raise CaffeError if a gradient is requested that Caffe does not support."""
        if not self.differentiable and any(propagate_down):
            raise CaffeError(f"{self.type} has no backward")
        for i in self.no_gradient:
            if i < len(propagate_down) and propagate_down[i]:
                raise CaffeError(f"{self.type} cannot backpropagate to its bottom {i} (labels or indices)")

    def allow_force_backward(self, bottom: int) -> bool:
        """Return whether force_backward applies to the bottom of this index."""
        return self.differentiable and bottom not in self.no_gradient

    def release(self) -> None:
        """Free what the last forward saved for backward."""
        self._tape = None


def create(param: Any, phase: int, device: Any = "cpu", generator: Any = None) -> Layer:
    """Create the layer described by `param` (LayerParameter); raises CaffeError as `check`."""
    check(param, phase)
    return registry[param.type](param, phase, device, generator)


def find(name: str) -> type[Layer] | None:
    """Return the class of layer type `name`, or None for an unknown one; imports the module of this type only."""
    if name not in registry:
        from caffe import layers

        layers.load_type(name)
    return registry.get(name)


def check(param: Any, phase: int) -> None:
    """Raise CaffeError if the type of `param` (LayerParameter) is unknown or one of its fields is not implemented."""
    if find(param.type) is None:
        from caffe import layers

        layers.load()
        raise CaffeError(faults.unknown_type(param.type, registry))
    unsupported = fork_fields.refused(param, phase == TRAIN)
    if unsupported:
        raise CaffeError("; ".join(unsupported))
