"""Forward pass of a TEST net on OpenVINO, whose CPU plugin keeps packed weights and fuses layers.

`caffe.Net.forward` uses it from the second pass on, where it gives the same blobs as the layers themselves. Blobs
inside the net are not computed; reading one runs the layers with the inputs of that pass. Layers that OpenVINO does not
have in this form, such as DetectionOutput, and all behind them run themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caffe.convert import flops
from caffe.convert.leading_layers import LeadingLayers, leading_layers
from caffe.core import config
from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.layers._convolution import Window
from caffe.passes import fft_convolution

if TYPE_CHECKING:
    from caffe.net.net import Net

MIN_OPERATIONS = 2e8  # per pass; below it, the layers take about as long, and compiling does not pay
MAX_SAVED = 0.25  # share of the operations that the layers save by Fourier transforms
MAX_WEIGHTS = 2**28  # numbers; OpenVINO holds a second copy of the weights
MAX_COMPILATIONS = 4  # of one net: for scripts that change its weights or shapes all the time
MAX_COMPLETIONS = 3  # passes whose inner blobs were read: then the layers run at once


class OpenVinoForward:
    """Runs the leading layers of a net on OpenVINO while that is equivalent, and completes the net's blobs on demand.

    It is equivalent for nets in phase TEST whose leading layers have no state, on the CPU, in float32, without
    callbacks, and while no NumPy view of a weight or of an inner blob is alive.

    Parameters
    ----------
    net : caffe.Net
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self.incomplete = False  # whether the inner blobs lag behind the outputs
        self._leading = leading_layers(net)
        self._eligible = _is_eligible(net, self._leading)
        self._compilations = self._completions = 0
        self._shapes: list[tuple[int, ...]] | None = None  # of the inputs in the last pass
        self._worthwhile: bool | None = None  # with these shapes; None: not computed
        self._key: Any = None
        self._request: Any = None

    def run(self) -> bool:
        """Run the net and set its outputs; return False, with nothing done, where the layers must run."""
        if not (
            self._eligible
            and self._settings_allow()
            and self._shapes_are_known()
            and self._is_worthwhile()
            and not self._views_are_alive()
            and self._compiled()
        ):
            return False
        blobs = self.net.blobs
        for index, name in enumerate(self._leading.inputs):
            np.copyto(self._request.get_input_tensor(index).data, _array(blobs[name]))
        self._request.infer()
        for index, name in enumerate(self._leading.outputs):
            values = self._request.get_output_tensor(index).data
            blobs[name].set(torch.from_numpy(values.copy()).reshape(blobs[name].shape))
        self._postpone_inner_blobs()
        self.net.run_layers(self._leading.count, len(self.net.nodes) - 1)
        return True

    def complete(self) -> None:
        """Run the leading layers with the inputs of the last pass, so that all inner blobs have their values."""
        if not self.incomplete:
            return
        self._completions += 1
        self._eligible = self._eligible and self._completions < MAX_COMPLETIONS
        self.discard()
        leading = self._leading
        kept = {name: _array(self.net.blobs[name]).copy() for name in (*leading.inputs, *leading.outputs)}
        try:
            for index, name in enumerate(leading.inputs):
                self._write(name, self._request.get_input_tensor(index).data)
            self.net.run_layers(0, leading.count - 1)
        finally:
            for name, values in kept.items():
                self._write(name, values)

    def discard(self) -> None:
        """Forget the inner blobs of the last pass, because the layers are about to run."""
        if self.incomplete:
            self.incomplete = False
            for blob in self._inner_blobs():
                blob.clear_pending()

    def _write(self, name, values):
        # through NumPy, so that autograd does not count it as a change of what backward needs
        blob = self.net.blobs[name]
        blob.reshape(*values.shape)
        np.copyto(blob.tensor.detach().numpy(), values)

    def stop(self) -> None:
        """Complete the blobs and leave all further passes to the layers."""
        self.complete()
        self._eligible, self._request = False, None

    def _settings_allow(self):
        net = self.net
        on_cpu = net.device is not None and net.device.type == "cpu"
        return (
            on_cpu
            and config.fast()
            and net.precision == "float32"
            and not net._callbacks
            and net.debug_reporter is None
        )

    def _shapes_are_known(self):
        """Return whether the layers have run with the present shapes, which gives all blobs theirs."""
        shapes = [self.net.blobs[name].shape for name in self.net.inputs]
        if shapes != self._shapes:
            self._shapes, self._worthwhile = shapes, None
            return False
        return all(node.shapes == [blob.shape for blob in node.bottom_blobs] for node in self.net.nodes)

    def _is_worthwhile(self):
        if self._worthwhile is None:
            self._worthwhile = _is_worthwhile(self._leading)
        return self._worthwhile

    def _views_are_alive(self):
        weights = (weight.blob for weight in self.net.learnable_weights)
        between = (self.net.blobs[name] for name in self._leading.outputs if name not in self.net.outputs)
        return any(blob.has_live_view for blob in (*weights, *between, *self._inner_blobs()))

    def _inner_blobs(self):
        return [self.net.blobs[name] for name in self._leading.inner]

    def _compiled(self):
        """Compile the net if its shapes or weights have changed; return whether there is a compiled model."""
        blobs = [weight.blob for weight in self.net.learnable_weights]
        viewed = any(blob.was_viewed for blob in blobs)  # a view may have been written to
        key = (self._shapes, [(id(blob.tensor), blob.tensor._version) for blob in blobs], torch.get_num_threads())
        if self._request is not None and key == self._key and not viewed:
            return True
        self._request = None
        self._compilations += 1
        if self._compilations > MAX_COMPILATIONS:
            self._eligible = False
            return False
        try:
            self._request = _compile(self._leading)
        except (CaffeError, ImportError, RuntimeError):  # no ONNX form, no OpenVINO, or an operation it does not know
            self._eligible = False
            return False
        for blob in blobs:
            blob.forget_views()
        self._key = key
        return True

    def _postpone_inner_blobs(self):
        self.incomplete = True
        for blob in self._inner_blobs():
            blob.set_pending(lambda _, blob=blob: self._completed(blob))

    def _completed(self, blob):
        self.complete()
        return blob.tensor


def _is_eligible(net: Net, leading: LeadingLayers) -> bool:
    """Return whether the net has Input layers only, nothing random and no losses, and weights of bearable size."""
    inputs = set(net.inputs)
    layers = [node.layer for node in leading.nodes if node.layer.type != "Input"]
    return (
        bool(leading.inputs and leading.outputs)
        and not any(any(node.losses) or node.layer.is_data or node.layer.is_loss for node in net.nodes)
        and all(layer.repeatable for layer in layers)  # an LSTM continues from its last states
        and not any(hasattr(layer, "state") for layer in layers)
        and all(node.bottoms or node.layer.type in ("Input", "Parameter") for node in leading.nodes)
        and not any(inputs.intersection(node.layer.param.top) for node in net.nodes if node.layer.type != "Input")
        and not inputs.intersection(net.outputs)
        and sum(blob.count for layer in layers for blob in layer.blobs) <= MAX_WEIGHTS
    )


def _is_worthwhile(leading: LeadingLayers) -> bool:
    """Return whether OpenVINO is safe, and faster than the layers with Fourier transforms; by shapes alone."""
    if not all(_has_ordinary_window(node) for node in leading.nodes):
        return False
    operations = sum(work.operations for work in flops.work(leading))
    saved = fft_convolution.saved_operations(leading.nodes)
    return operations >= MIN_OPERATIONS and 2 * saved < MAX_SAVED * operations


def _has_ordinary_window(node):
    """Return whether each window has a pixel of the bottom and fits into it.

    OpenVINO crashes on some that do not, or returns other values; tests/differential finds them.
    """
    layer, sizes = node.layer, node.bottom_blobs[0].shape[2:] if node.bottom_blobs else ()
    if layer.type == "Pooling":
        if len(sizes) != 2:
            return False  # three axes: layers of their own
        extent, begin = layer.kernel or sizes, layer.pad
        end = begin
    elif isinstance(getattr(layer, "window", None), Window) and layer.type != "Deconvolution":
        extent, begin, end = layer.window.extent, layer.window.pad, layer.window.pad_end
    else:
        return True
    if node.bottom_blobs[0].shape[1:2] == (1,) and 1 in node.top_blobs[0].shape[2:]:
        return False  # strides of one channel and one pixel are ambiguous
    return all(a < e and b < e and e <= n + a + b for e, a, b, n in zip(extent, begin, end, sizes))


def _array(blob):
    return np.ascontiguousarray(blob.tensor.detach().numpy())


def _compile(leading: LeadingLayers) -> Any:
    from caffe.convert.onnx_export import model_bytes
    from caffe.utils.telemetry import import_openvino

    core = import_openvino().Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    return core.compile_model(core.read_model(model_bytes(leading)), "CPU", settings).create_infer_request()
