"""BaseNet: runs the layers of a net forward and backward (Caffe's net.cpp)."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from caffe.core import config, numpy_blob, precision
from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.net import builder, debug_info, filter_and_split, layer_faults

if TYPE_CHECKING:
    from caffe.net.freeing import Freeing


class BaseNet:
    """A net that runs by layer numbers; `caffe.Net` adds pycaffe's interface.

    Parameters
    ----------
    param : NetParameter
        In the current (V2) format.
    where : sequence of str
        The source location of each layer, for error messages.
    phase, level, stages
        The NetState.
    build_only : bool
        Infer shapes only, without importing torch: the net takes weights and can be exported, but not run.

    Attributes
    ----------
    nodes : list of Node
        The layers in the order in which they run, each with its blobs.
    learnable_weights : list of Weight
        The weights that the solver updates; shared weights appear once.
    """

    def __init__(
        self,
        param: Any,
        where: Sequence[str],
        phase: int,
        level: int = 0,
        stages: Sequence[str] = (),
        build_only: bool = False,
    ) -> None:
        self.phase, self.build_only = phase, build_only
        self.precision = "float32"
        self.device = None if build_only else config.device()
        self.generator = None if build_only else torch.Generator().manual_seed(config.next_seed())
        self._callbacks: dict[str, list[Any]] = {}
        self.debug_reporter: debug_info.Reporter | None = None
        self.freeing: Freeing | None = None  # frees blobs in training, see Solver.free_blobs
        self.backward_observer: Callable[[int], Any] | None = None  # called after a layer; graph passes stay on
        graph = builder.build(self, param, where, filter_and_split.net_state(phase, level, stages, param.state))
        self.param, self.where, self.name = graph.param, graph.where, graph.param.name
        self.nodes, self._blobs, self.learnable_weights = graph.nodes, graph.blobs, graph.weights
        self.input_names, self.output_names = graph.input_names, graph.output_names
        if config.fast() and not build_only:
            from caffe import passes

            passes.apply(self.nodes)
        debug_info.set_enabled(self, param.debug_info)

    @property
    def has_callbacks(self) -> bool:
        """Whether functions are called before or after each layer; the optimized runners then do not run."""
        return bool(self._callbacks)

    @property
    def blobs(self) -> OrderedDict[str, Any]:
        """OrderedDict of Blob by name, in the order in which the layers produce them."""
        return self._blobs

    def forward_range(self, start: int, end: int, record: bool = True, loss: float = 0.0) -> float:
        """Run layers `start` to `end` and return their loss.

        Parameters
        ----------
        start, end : int
            Layer indices, both inclusive.
        record : bool
            Keep what backward needs.
        loss : float
            The loss of earlier layers, to which these layers' is added.

        Returns
        -------
        float
            The sum of all tops multiplied by their loss weights.
        """
        if self.build_only:
            raise CaffeError(numpy_blob.NOT_RUNNABLE)
        self.complete_blobs()
        return self.run_layers(start, end, record, loss)

    def complete_blobs(self) -> None:
        """Give every blob its value, if `forward` has computed the outputs only."""

    def run_layers(self, start: int, end: int, record: bool = True, loss: float = 0.0) -> float:
        """Run layers `start` to `end` as `forward_range` does, while all blobs have their values."""
        if self.debug_reporter is not None:
            self.debug_reporter.log_inputs()
        for i in range(start, end + 1):
            node = self.nodes[i]
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
            if self.freeing is not None and not record and not self._callbacks:
                self.freeing.after_forward(i)
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
            builder.infer_tops(node.layer, node.bottom_blobs, node.tops, node.top_blobs)
            node.shapes = shapes

    @contextlib.contextmanager
    def _annotate_errors(self, index):
        """Prefix the message of a CaffeError with the source location and name of layer `index`."""
        try:
            yield
        except CaffeError as error:
            param = self.nodes[index].layer.param
            error.args = (f"{self.where[index]}: layer '{param.name}' ({param.type}): {error}",)
            raise
        except (MemoryError, *layer_faults.SHAPE_ERRORS) as error:
            node = self.nodes[index]
            text = f"not enough memory: {error}" if _out_of_memory(error) else None
            text = text or layer_faults.refusal(error, [blob.shape for blob in node.bottom_blobs])
            if text is None:
                raise
            param = node.layer.param
            raise CaffeError(f"{self.where[index]}: layer '{param.name}' ({param.type}): {text}") from error

    def _weighted_loss(self, blob, weight):
        if blob.grad.shape != blob.tensor.shape:
            blob.set_grad(torch.full(blob.shape, float(weight), device=self.device))
        return float((blob.tensor * blob.grad).sum())

    def backward_range(self, start: int, end: int) -> None:
        """Run backward from layer `start` down to layer `end` (both inclusive), using the diffs of their tops."""
        self.complete_blobs()
        for i in range(start, end - 1, -1):
            node = self.nodes[i]
            self._call("before_backward", i)
            if node.need_backward:
                with self._annotate_errors(i):
                    runner = self._runner(node, end, start)
                    runner.backward_blobs(node.top_blobs, node.bottom_need_backward, node.bottom_blobs)
            self._call("after_backward", i)
            if self.backward_observer is not None:
                self.backward_observer(i)
            if self.freeing is not None and not self._callbacks:
                self.freeing.after_backward(i)

    def reshape(self) -> None:
        """Infer the shapes of all blobs from the shapes of the input blobs."""
        for node in self.nodes:
            builder.infer_tops(node.layer, node.bottom_blobs, node.tops, node.top_blobs)

    def clear_param_diffs(self) -> None:
        """Set the diffs of all learnable weights to zero."""
        for weight in self.learnable_weights:
            weight.blob.clear_grad()

    def _call(self, event, index):
        for function in self._callbacks.get(event, ()):
            function(index)


def _out_of_memory(error):
    return isinstance(error, MemoryError) or any(
        words in str(error) for words in ("allocate memory", "not enough memory", "out of memory", "bad_alloc")
    )
