"""What `debug_info: true` logs: the mean magnitude of every blob as the net runs (Caffe's net.cpp, ForwardDebugInfo …)."""

from __future__ import annotations

import math

from caffe.core import glog

EVENTS = ("after_forward", "after_backward")


def switch(net, on):
    """Have `net` log its blobs' mean magnitudes from now on, or no longer."""
    if on == (net.debug_reporter is not None):
        return
    if on:
        net.debug_reporter = Reporter(net)
        for event in EVENTS:
            net._callbacks.setdefault(event, []).append(getattr(net.debug_reporter, event))
        return
    for event in EVENTS:
        net._callbacks[event].remove(getattr(net.debug_reporter, event))
        if not net._callbacks[event]:
            del net._callbacks[event]  # without any callback the fast passes run again
    net.debug_reporter = None


class Reporter:
    """The lines of one net; its methods are called after each layer."""

    def __init__(self, net):
        self.net = net

    def after_forward(self, index):
        """The means of |data| of layer `index`'s tops and weights."""
        node = self.net._nodes[index]
        for name, blob in zip(node.tops, node.top_blobs):
            _say("Forward", node, f"top blob {name} data", blob.tensor)
        for name, blob in zip(_weight_names(node.layer), node.layer.blobs):
            _say("Forward", node, f"param blob {name} data", blob.tensor)

    def after_backward(self, index):
        """The means of |diff| of what layer `index` gave derivatives to; behind the first layer the norms of all weights."""
        node = self.net._nodes[index]
        if node.need_backward:
            for name, blob, wanted in zip(node.bottoms, node.bottom_blobs, node.bottom_need_backward):
                if wanted:
                    _say("Backward", node, f"bottom blob {name} diff", blob.grad)
            for i, name in enumerate(_weight_names(node.layer)):
                if node.layer.param_propagate_down[i]:
                    _say("Backward", node, f"param blob {name} diff", node.layer.blobs[i].grad)
        if index == 0:
            self._norms()

    def _norms(self):
        blobs = [weight.blob for weight in self.net.learnable_weights]
        pairs = [(blob.tensor.detach().double(), blob.grad.detach().double()) for blob in blobs]
        l1 = tuple(sum(float(pair[i].abs().sum()) for pair in pairs) for i in (0, 1))
        l2 = tuple(math.sqrt(sum(float(pair[i].square().sum()) for pair in pairs)) for i in (0, 1))
        text = "    [Backward] All net params (data, diff): L1 norm = (%.6g, %.6g); L2 norm = (%.6g, %.6g)"
        glog.error(text % (l1 + l2), "net.cpp:579")


def _weight_names(layer):
    """What Caffe calls a layer's weights here: the name in `param { name }`, or the number."""
    specs = layer.param.param
    return [specs[i].name if i < len(specs) and specs[i].name else str(i) for i in range(len(layer.blobs))]


def _say(direction, node, what, tensor):
    mean = float(tensor.detach().abs().double().mean()) if tensor.numel() else 0.0
    glog.info(f"    [{direction}] Layer {node.layer.name}, {what}: {mean:.6g}", "net.cpp:550")
