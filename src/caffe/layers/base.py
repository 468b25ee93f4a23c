"""What a layer type is: its parameters, top shapes, torch forward and ONNX export, in one file named as the type.

A member of this folder is written like this, and nothing else in src/ is edited for it::

    @register
    class Power(Layer):
        \"\"\"y = (shift + scale * x) ^ power. (The docstring is the page of docs/layers.md.)\"\"\"

        examples = (Example("power_param { power: 2 scale: 0.5 shift: 1 }", [(2, 3, 4, 5)]),)

        def setup(self, bottom): ...        # Caffe's LayerSetUp: validate the parameters, `self.add_blob(...)`
        def top_shapes(self, bottom): ...   # Caffe's Reshape: list of top shapes (default: every top as the first bottom)
        def forward(self, x): ...           # Caffe's Forward in torch; autograd gives Backward
        def to_onnx(self, g, bottoms, tops): ...

`setup` and `top_shapes` take one shape (tuple of ints) a bottom, `forward` one tensor a bottom; `forward` returns a tensor
or a tuple of them, one a top. `self.blobs[i].tensor` are the weights. `self.phase` is TRAIN or TEST, `self.random(device)`
a torch.Generator. Whoever has a backward that autograd does not know overrides `backward_blobs`, or uses a
torch.autograd.Function in `forward`.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from caffe.core import numpy_blob
from caffe.core.blob import Blob
from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, fork_fields
from caffe.utils import faults

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST

registry: dict[str, type[Layer]] = {}


def register(layer):
    """Enter `layer` under its class name, which is Caffe's type and, in lower case with underscores or without, its file."""
    module = layer.__module__.rsplit(".", 1)[-1]
    if module.replace("_", "") != layer.__name__.lower():
        raise CaffeError(f"layer type {layer.__name__} stands in {module}.py; its file must be named as the type")
    registry[layer.__name__] = layer
    return layer


@dataclasses.dataclass(frozen=True)
class Example:
    """A use of a layer type: shown in the documentation, run by the conformance test.

    `text` is what stands in the layer besides name, type, bottom and top; `bottoms` the bottoms' shapes. `values` says a
    bottom's contents: "normal" (default), "positive" (0.1 .. 2), "unit" (0 .. 1), "binary" (0 or 1) or an int n for labels
    0 .. n-1. `tops` is the number of tops; `phase` TRAIN or TEST.
    """

    text: str
    bottoms: list
    values: tuple = ()
    tops: int = 1
    phase: int = TEST


class Layer:
    """The base of all layer types; see the module's docstring for how one is written."""

    num_bottom: int | tuple = 1  # exactly so many, or (least, most) with None for any number
    num_top: int | tuple = 1
    same_count = False  # as many tops as bottoms
    is_loss = False  # the first top counts towards the loss with weight 1 unless loss_weight says otherwise
    deploys_as: str | None = None  # for a loss: the type that takes its place in a deploy net
    auto_top = False  # missing tops are made, nameless
    in_place = True  # False: a top that is one of its bottoms is refused, as Caffe does
    shares_data = False  # its tops live in its bottom's memory, as Caffe's ShareData has it
    is_data = False  # no bottoms; reads records, so it is replaced by an Input in a deploy net
    no_gradient: tuple = ()  # bottoms that cannot have a derivative (labels, indices)
    rows_vary = False  # how many rows the tops have follows from the bottoms' values
    differentiable = True  # False: backward through it is refused, as Caffe's NOT_IMPLEMENTED
    no_onnx: str | None = None  # why there is no ONNX form, for those that have no meaning at inference
    examples: tuple = ()

    def __init__(self, param, phase=TEST, device="cpu", generator=None):
        self.param = param  # LayerParameter
        self.name, self.type = param.name, param.type
        self.phase = phase
        self.device = None if device is None else torch.device(device)  # None: the net is described, not run
        self.generator = generator  # torch.Generator of the net, on the CPU
        self.blobs: list[Blob] = []  # weights, in Caffe's order
        self.loss_weights: list[float] = []
        self.propagate_down: list[bool] = []  # by bottom; set by the Net
        self.param_propagate_down: list[bool] = []  # by weight blob
        self.memory_format = None  # the layout of 4-axis bottoms that a pass chose; None: as they come
        self._tape = None

    # -- what a member writes --------------------------------------------------------------------

    def setup(self, *bottoms):
        """Validate parameters and bottoms' shapes, allocate `self.blobs`. Runs once."""

    def top_shapes(self, *bottoms):
        """Return one shape a top for these bottoms' shapes."""
        return [bottoms[0]] * self.top_count

    def forward(self, *bottoms):
        """Return the tops' tensors; None leaves the tops as they are."""
        raise CaffeError(f"{self.type} has no forward")

    def to_onnx(self, g, bottoms, tops):
        """Emit ONNX nodes that read the tensors named `bottoms` and write those named `tops` (see caffe.convert.onnx_export.Graph)."""
        raise CaffeError("{} has no ONNX form: {}".format(self.type, self.no_onnx or "none was written"))

    # -- helpers for members ---------------------------------------------------------------------

    def add_blob(self, shape, filler=None):
        """Append a weight blob of `shape`, to be filled by `filler` (FillerParameter; None: zeros) when first looked at."""
        from caffe.core import fillers

        blob = numpy_blob.make(shape, self.device)
        if filler is not None:
            blob.set_initializer(fillers.filling(filler, blob.shape, self.generator))
        self.blobs.append(blob)
        return blob

    def axis(self, number, shape):
        """CanonicalAxisIndex: `number` as a non-negative axis of `shape`; an error where there is none."""
        if not -len(shape) <= number < len(shape):
            raise CaffeError("axis %d is out of range: the bottom has %d axes %s" % (number, len(shape), tuple(shape)))
        return number % len(shape)

    def random(self, device):
        """The source of random numbers for tensors on `device`: the net's, or one there that the net's has seeded."""
        if device.type == "cpu" or self.generator is None:
            return self.generator
        return torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=self.generator)))

    def need(self, condition, text, *received):
        """Raise CaffeError(text % received) unless `condition`."""
        if not condition:
            raise CaffeError(text % received if received else text)

    @staticmethod
    def onnx_chain(g, bottom, top, steps):
        """Emit (op, number or None) after (op, number or None) from `bottom` to `top`, leaving out those that change nothing."""
        neutral = {"Mul": 1, "Add": 0, "Pow": 1}
        steps = [(op, number) for op, number in steps if number is None or number != neutral.get(op)] or [
            ("Identity", None)
        ]
        for i, (op, number) in enumerate(steps):
            out = top if i == len(steps) - 1 else g.temp(op.lower())
            extra = [] if number is None else [g.constant(np.array(number, np.float32), op.lower())]
            g.node(op, [bottom, *extra], [out])
            bottom = out

    def fitted(self, arrays):
        """A file's blobs for this layer as ours: same number, order and shape, where a fork writes others."""
        return arrays

    @property
    def top_count(self):
        """How many tops the layer has."""
        return len(self.param.top)

    @property
    def public(self):
        """What `net.layers` shows for this layer."""
        return self

    def setup_blobs(self, bottoms, tops):
        """Called before `setup` with the Blobs themselves, for the layers that keep them (Python, data layers)."""

    # -- how a Net runs a layer ------------------------------------------------------------------

    def forward_blobs(self, bottoms, tops, record):
        """Run `forward` on Blobs; `record` keeps what backward needs."""
        inputs, outputs = self._forward(bottoms, tops, record)
        for blob, output in zip(tops, outputs):
            others = [x for x, bottom in zip(inputs, bottoms) if bottom is not blob]
            blob.set(self._apart(output.detach(), others))

    def _forward(self, bottoms, tops, record):
        wanted = self.propagate_down if record else [False] * len(bottoms)
        inputs = [self._input(blob, want, blob in tops) for blob, want in zip(bottoms, wanted)]
        return inputs, self.run(inputs, record)

    def run(self, inputs, record=True):
        """The tops' tensors for the bottoms' tensors `inputs`; `record` keeps what backward needs."""
        with torch.set_grad_enabled(bool(record)):
            outputs = self.forward(*inputs)
        if outputs is None:
            return ()
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        self._tape = (inputs, outputs) if record else None
        return outputs

    def _apart(self, output, bottoms):
        """`output` in memory of its own: writing into a top must not change a bottom, nor the other way round."""
        if self.shares_data:
            return output
        memory = output.untyped_storage().data_ptr()
        return output.clone() if any(memory == x.untyped_storage().data_ptr() for x in bottoms) else output

    def _input(self, blob, want_gradient, in_place):
        tensor = self.laid_out(blob.tensor.detach())
        if in_place and blob.has_live_view:
            tensor = tensor.clone()  # the result will be written over the memory that autograd saved
        return tensor.requires_grad_(want_gradient)

    def laid_out(self, tensor):
        """`tensor` in the layout that a pass chose for this layer's bottoms."""
        if self.memory_format is None or tensor.dim() != 4:
            return tensor
        tensor = tensor.contiguous(memory_format=self.memory_format)
        if tensor.shape[1] > 1:
            return tensor
        _, _, height, width = tensor.shape  # of either layout, for which torch would take the other
        return tensor.as_strided(tensor.shape, (height * width, 1, width, 1))

    def backward_blobs(self, tops, propagate_down, bottoms):
        """Set the bottoms' diffs and add to the weights' diffs, from the tops' diffs."""
        self.check_backward(propagate_down)
        if not any(propagate_down) and not any(self.param_propagate_down):
            return
        if self._tape is None:
            self._forward(bottoms, tops, record=True)  # its forward was not recorded; what the tops hold stays
        inputs, outputs = self._tape
        weights = [b for b, want in zip(self.blobs, self.param_propagate_down) if want]
        wanted_bottoms = [i for i, want in enumerate(propagate_down) if want]
        wanted = [inputs[i] for i in wanted_bottoms] + [b.tensor for b in weights]
        pairs = [(out, top.grad) for out, top in zip(outputs, tops) if out.requires_grad]
        if pairs:
            values = torch.autograd.grad(
                [out for out, _ in pairs],
                wanted,
                [self._like(grad, out) for out, grad in pairs],
                retain_graph=True,
                allow_unused=True,
            )
        else:
            values = [None] * len(wanted)
        for i, value in zip(wanted_bottoms, values):
            bottoms[i].set_grad(torch.zeros_like(inputs[i]) if value is None else value)
        for blob, value in zip(weights, values[len(wanted_bottoms) :]):
            if value is not None:
                blob.add_grad(self._own(value, tops))

    @staticmethod
    def _own(value, tops):
        """`value` in memory of its own: autograd may hand back a top's diff itself, or an expanded view of it."""
        borrowed = {top.grad.untyped_storage().data_ptr() for top in tops}
        dense = (
            value.is_contiguous() or value.is_contiguous(memory_format=torch.channels_last)
            if value.dim() == 4
            else value.is_contiguous()
        )
        return value if dense and value.untyped_storage().data_ptr() not in borrowed else value.clone()

    @staticmethod
    def _like(grad, output):
        return grad.to(output.dtype).reshape(output.shape)

    def check_backward(self, propagate_down):
        """Refuse a derivative where Caffe has none."""
        if not self.differentiable and any(propagate_down):
            raise CaffeError(f"{self.type} has no backward")
        for i in self.no_gradient:
            if i < len(propagate_down) and propagate_down[i]:
                raise CaffeError("%s cannot backpropagate to its bottom %d (labels or indices)" % (self.type, i))

    def allow_force_backward(self, bottom):
        """Whether force_backward may ask for the derivative by this bottom."""
        return self.differentiable and bottom not in self.no_gradient

    def release(self):
        """Let go of what the last forward kept for backward."""
        self._tape = None


def create(param, phase, device="cpu", generator=None):
    """Make the layer that `param` (LayerParameter) describes; CaffeError for an unknown type, or a field of a fork that is
    not computed here.
    """
    check(param, phase)
    return registry[param.type](param, phase, device, generator)


def check(param, phase):
    """Raise CaffeError unless the type of `param` (LayerParameter) is known and all of its fields are computed here."""
    from caffe import layers

    layers.load()
    if param.type not in registry:
        raise CaffeError(faults.unknown_type(param.type, registry))
    refused = fork_fields.refused(param, phase == TRAIN)
    if refused:
        raise CaffeError("; ".join(refused))
