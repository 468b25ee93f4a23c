"""The log of `debug_info: true`: mean magnitudes of all blobs (net.cpp, ForwardDebugInfo …)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from caffe.core import glog

if TYPE_CHECKING:
    from caffe.net.base_net import BaseNet

EVENTS = ("after_forward", "after_backward")


def set_enabled(net: BaseNet, enabled: bool) -> None:
    """Start or stop logging the mean magnitudes of the blobs of `net`."""
    if enabled == (net.debug_reporter is not None):
        return
    if enabled:
        net.debug_reporter = Reporter(net)
        for event in EVENTS:
            net._callbacks.setdefault(event, []).append(getattr(net.debug_reporter, event))
        return
    for event in EVENTS:
        net._callbacks[event].remove(getattr(net.debug_reporter, event))
        if not net._callbacks[event]:
            del net._callbacks[event]  # the optimized passes run only when there are no callbacks
    net.debug_reporter = None


class Reporter:
    """Logs the blobs of one net; its methods are called after each layer."""

    def __init__(self, net: BaseNet) -> None:
        self.net = net

    def after_forward(self, index: int) -> None:
        """Log the mean |data| of the tops and weights of layer `index`."""
        node = self.net.nodes[index]
        for name, blob in zip(node.tops, node.top_blobs):
            _log_mean("Forward", node, f"top blob {name} data", blob.tensor)
        for name, blob in zip(_weight_names(node.layer), node.layer.blobs):
            _log_mean("Forward", node, f"param blob {name} data", blob.tensor)

    def after_backward(self, index: int) -> None:
        """Log the mean |diff| that layer `index` computed."""
        node = self.net.nodes[index]
        if node.need_backward:
            for name, blob, needs_grad in zip(node.bottoms, node.bottom_blobs, node.bottom_need_backward):
                if needs_grad:
                    _log_mean("Backward", node, f"bottom blob {name} diff", blob.grad)
            for i, blob in enumerate(node.layer.blobs):  # by number; the lines of forward have the names
                if node.layer.param_propagate_down[i]:
                    _log_mean("Backward", node, f"param blob {i} diff", blob.grad)

    def log_inputs(self) -> None:
        """Log the mean |data| of the net's inputs, before a forward."""
        for name in self.net.input_names:
            glog.info(f"    [Forward] Input {name} data: {_mean(self.net.blobs[name].tensor):.6g}", "net.cpp:536")

    def log_norms(self) -> None:
        """Log the norms of all weights, after a backward of the whole net."""
        blobs = [weight.blob for weight in self.net.learnable_weights]
        pairs = [(blob.tensor.detach().double(), blob.grad.detach().double()) for blob in blobs]
        l1 = tuple(sum(float(pair[i].abs().sum()) for pair in pairs) for i in (0, 1))
        l2 = tuple(math.sqrt(sum(float(pair[i].square().sum()) for pair in pairs)) for i in (0, 1))
        text = "    [Backward] All net params (data, diff): L1 norm = (%.6g, %.6g); L2 norm = (%.6g, %.6g)"
        glog.error(text % (l1 + l2), "net.cpp:579")


def _weight_names(layer):
    """Names of a layer's weights in the log: the name in `param { name }`, or the index."""
    specs = layer.param.param
    return [specs[i].name if i < len(specs) and specs[i].name else str(i) for i in range(len(layer.blobs))]


def _log_mean(direction, node, label, tensor):
    glog.info(f"    [{direction}] Layer {node.layer.name}, {label}: {_mean(tensor):.6g}", "net.cpp:550")


def _mean(tensor):
    return float(tensor.detach().abs().double().mean()) if tensor.numel() else 0.0
