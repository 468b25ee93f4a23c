"""Pass: BatchNorm, the Scale in place behind it and perhaps a ReLU in place run as one."""

import torch

from caffe.passes.blob_users import is_relu_in_place, nodes_using


def scale_in_batch_norm(nodes):
    """Let `BatchNorm, Scale in place[, ReLU in place]` read and write the blob once instead of once a layer.

    The Scale must be by channel. Results differ from those of the separate layers in their last bits: there the
    normalised values are rounded before they are scaled.
    """
    for i, norm in enumerate(nodes):
        if (
            norm.layer.type != "BatchNorm"
            or norm.fast is not None
            or len(norm.bottom_blobs[0].shape) < 2
            or not norm.layer.plain
        ):
            continue
        later = [j for j in nodes_using(nodes, norm.top_blobs[0]) if j > i]
        if not later or not _scales_channels(nodes[later[0]], norm):
            continue
        relu = later[1] if len(later) > 1 and _is_free_relu(nodes[later[1]]) else None
        members = [i, later[0]] + [relu] * (relu is not None)
        if any(weight for j in members for weight in nodes[j].losses):
            continue
        fused = Fused(norm.layer, nodes[later[0]].layer, None if relu is None else nodes[relu].layer)
        for j, runner in zip(members, (Norm, Scale, Part)):
            nodes[j].fast, nodes[j].reach = runner(fused, nodes[j].layer), (i, members[-1])


def _scales_channels(node, norm):
    layer = node.layer
    in_place = node.top_blobs[:1] == norm.top_blobs and node.bottom_blobs == norm.top_blobs
    return layer.type == "Scale" and in_place and layer.begin == 1 and layer.blobs[0].shape == norm.layer.blobs[0].shape


def _is_free_relu(node):
    return node.fast is None and is_relu_in_place(node)


class Fused:
    """The layers together; `tape` is what their forward as one left for backward."""

    def __init__(self, norm, scale, relu):
        self.norm, self.scale, self.relu = norm, scale, relu
        self.source = self.tape = None  # the BatchNorm's bottom (Blob); (x, y, gain, statistics)

    @property
    def layers(self):
        return [layer for layer in (self.norm, self.scale, self.relu) if layer is not None]

    def begin(self, source):
        """Take `source` (Blob) as the bottom of the coming forward."""
        self.source, self.tape = source, None
        for layer in self.layers:
            layer.release()

    def forward(self, top, record):
        """Write the result for `source` to `top` (Blob)."""
        x = self.source.tensor.detach()
        if self.source is top and top.has_live_view:
            x = x.clone()  # the result will be written over it
        gain, bias = self._weights()
        y, *statistics = _normalize(self.norm, x, gain, bias)
        if self.relu is not None:
            y.relu_()
        self.tape = (x, y, gain.clone(), statistics) if record else None
        top.set(y)

    def _weights(self):
        gain, *bias = (blob.tensor.detach() for blob in self.scale.blobs)
        return gain, bias[0] if bias else None

    def backward(self, top, propagate_down):
        """Set the diffs of `source` and `top`, and add to the Scale's, from the diff of `top` (Blob)."""
        x, y, gain, statistics = self.tape
        grad = _laid_out_as(x, top.grad.to(y.dtype).reshape(y.shape))
        if self.relu is not None:
            grad = torch.ops.aten.threshold_backward(grad, y, 0)
        asked = [bool(self.norm.propagate_down[0]), *map(bool, self.scale.param_propagate_down), False][:3]
        dx, *learned = torch.ops.aten.native_batch_norm_backward(
            grad, x, gain, *statistics, not self.norm.use_global, self.norm.eps, asked
        )
        for blob, want, value in zip(self.scale.blobs, asked[1:], learned):
            if want:
                blob.add_grad(value)
        if self.source is not top or not asked[0]:
            _show(top, grad, gain if any(propagate_down) else None)
        if asked[0]:
            self.source.set_grad(dx)

    def split(self):
        """Give each layer the tape that it would have left by itself: one of them is about to run alone."""
        if self.tape is None:
            return
        (x, *_), self.tape = self.tape, None
        kept = [blob.tensor.clone() for blob in self.norm.blobs]
        for layer in self.layers:
            x = layer.run([x.detach().requires_grad_(layer.propagate_down[0])])[0].detach()
        for blob, values in zip(self.norm.blobs, kept):  # forward counted the batch already
            blob.tensor.copy_(values)


@torch.no_grad()
def _normalize(norm, x, gain, bias):
    """(y, running mean, running variance, batch's mean, batch's 1 / deviation) as PyTorch's backward wants them."""
    if norm.use_global:
        running = norm.statistics()
    else:  # momentum 1 leaves the batch's own statistics, the variance unbiased
        running = [torch.zeros_like(blob.tensor) for blob in norm.blobs[:2]]
    y, mean, deviation = torch.ops.aten.native_batch_norm(x, gain, bias, *running, not norm.use_global, 1.0, norm.eps)
    if not norm.use_global:
        norm.accumulate(*running)
    return y, *running, mean, deviation


def _laid_out_as(x, grad):
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return grad.contiguous(memory_format=torch.channels_last)
    return grad.contiguous()


def _show(top, grad, gain):
    """Have `top` (Blob) show the derivative by the normalised values, `grad` by channel times `gain` (None: 1)."""
    times = (lambda g: g) if gain is None else (lambda g: g * gain.view(-1, *[1] * (g.dim() - 2)))
    if top.has_live_grad_view:
        top.set_grad(times(grad))
    else:
        top.set_grad(grad)
        top.defer_grad(times)


class Part:
    """In the place of one of the layers: the Scale's place does the work of all."""

    def __init__(self, fused, layer):
        self.fused, self.layer = fused, layer
        self.fall_back = fused.split

    def forward_blobs(self, bottoms, tops, record):
        pass

    def backward_blobs(self, tops, propagate_down, bottoms):
        if self.fused.tape is None:
            self.layer.backward_blobs(tops, propagate_down, bottoms)


class Norm(Part):
    """In the BatchNorm's place."""

    def forward_blobs(self, bottoms, tops, record):
        self.fused.begin(bottoms[0])


class Scale(Part):
    """In the Scale's place."""

    def forward_blobs(self, bottoms, tops, record):
        self.fused.forward(tops[0], record)

    def backward_blobs(self, tops, propagate_down, bottoms):
        if self.fused.tape is None:
            self.layer.backward_blobs(tops, propagate_down, bottoms)
        else:
            self.fused.backward(tops[0], propagate_down)
