"""Pass: fuse BatchNorm, the following in-place Scale and an optional in-place ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from caffe.kernels import batch_norm as kernel
from caffe.passes.blob_users import is_relu_in_place, nodes_using, owns_diff
from caffe.passes.inplace_relu import mask_grad


def scale_in_batch_norm(nodes: Sequence[Any]) -> None:
    """Make `BatchNorm, in-place Scale[, in-place ReLU]` read and write the blob once instead of once per layer.

    The Scale must be per channel. Results differ in the last bits from those of the separate layers, which round the
    normalized values before scaling them.
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
        members = [i, *later[:2]] if len(later) > 1 and _is_free_relu(nodes[later[1]]) else [i, later[0]]
        if any(weight for j in members for weight in nodes[j].losses):
            continue
        relu = nodes[members[2]].layer if len(members) > 2 else None
        fused = Fused(norm.layer, nodes[later[0]].layer, relu, owns_diff(nodes, members[-1]))
        for j, runner in zip(members, (Norm, Scale, Part)):
            nodes[j].fast, nodes[j].reach = runner(fused, nodes[j].layer), (i, members[-1])


def _scales_channels(node, norm):
    layer = node.layer
    in_place = node.top_blobs[:1] == norm.top_blobs and node.bottom_blobs == norm.top_blobs
    return layer.type == "Scale" and in_place and layer.begin == 1 and layer.blobs[0].shape == norm.layer.blobs[0].shape


def _is_free_relu(node):
    return node.fast is None and is_relu_in_place(node)


class Fused:
    """The fused layers; `tape` is what their joint forward saved for backward."""

    def __init__(self, norm: Any, scale: Any, relu: Any | None, owns_diff: bool) -> None:
        self.norm, self.scale, self.relu = norm, scale, relu
        self.owns_diff = owns_diff  # backward may overwrite the diff of the top
        self.source: Any = None  # the BatchNorm's bottom (Blob)
        self.tape: Any = None  # (x, y, weights, statistics)
        self.native = False  # whether the last forward used the kernel

    @property
    def layers(self) -> list[Any]:
        """BatchNorm, Scale and, if present, ReLU."""
        return [layer for layer in (self.norm, self.scale, self.relu) if layer is not None]

    def begin(self, source: Any) -> None:
        """Set the bottom (Blob) of the next forward."""
        self.source, self.tape = source, None
        for layer in self.layers:
            layer.release()

    def forward(self, top: Any, record: bool) -> None:
        """Compute `top` (Blob) from `source`."""
        x = self.source.tensor.detach()
        if self.source is top and top.has_live_view:
            x = x.clone()  # the result will overwrite it
        weights, self.native = self._weights(), kernel.is_supported(x)
        if self.native:
            y, *statistics = _normalize_by_kernel(self.norm, x, weights, self.relu is not None)
        else:
            y, *statistics = _normalize(self.norm, x, *weights)
            if self.relu is not None:
                y.relu_()
        self.tape = (x, y, [w if w is None else w.clone() for w in weights], statistics) if record else None
        top.set(y)

    def _weights(self):
        gain, *bias = (blob.tensor.detach() for blob in self.scale.blobs)
        return gain, bias[0] if bias else None

    def backward(self, top: Any, propagate_down: Sequence[bool]) -> None:
        """From the diff of `top` (Blob), set the diffs of `source` and `top` and add to the diffs of the Scale."""
        x, y, (gain, _), _ = self.tape
        grad = _match_layout(x, top.grad.to(y.dtype).reshape(y.shape))
        needed = [bool(self.norm.propagate_down[0]), *map(bool, self.scale.param_propagate_down), False][:3]
        if self.native:
            grad, dx, *weight_grads = self._backward_by_kernel(top, grad, needed)
        else:
            grad, dx, *weight_grads = self._backward_by_torch(grad, needed)
        for blob, needs_grad, value in zip(self.scale.blobs, needed[1:], weight_grads):
            if needs_grad:
                blob.add_grad(value)
        if self.source is not top or not needed[0]:
            rectified = y if self.native and self.relu is not None else None
            _set_top_grad(top, grad, rectified, gain if any(propagate_down) else None)
        if needed[0]:
            self.source.set_grad(dx)

    def _backward_by_torch(self, grad, needed):
        """Return the gradients of the scaled values, of x, and of the Scale's blobs."""
        x, y, (gain, _), statistics = self.tape
        if self.relu is not None:
            grad = mask_grad(grad, y, self.owns_diff)
        grads = torch.ops.aten.native_batch_norm_backward(
            grad, x, gain, *statistics, not self.norm.use_global, self.norm.eps, needed
        )
        return grad, *grads

    def _backward_by_kernel(self, top, grad, needed):
        """Return what `_backward_by_torch` does, but the gradients of the rectified values instead of the scaled."""
        x, y, weights, statistics = self.tape
        relu, overwrite = self.relu is not None, self.owns_diff and self.source is top
        dx = (grad if overwrite else torch.empty_like(x)) if needed[0] else None
        changeable = y if top.was_viewed else None  # otherwise the mask follows from x, which is read anyway
        weight_grads = kernel.backward(grad, x, changeable, weights, statistics, relu, self.norm.use_global, dx)
        return grad, dx, *weight_grads

    def release(self) -> None:
        """Free what the last forward saved for backward."""
        self.tape = None

    def split(self) -> None:
        """Rebuild each layer's own tape, because one of the layers is about to run alone."""
        if self.tape is None:
            return
        (x, *_), self.tape = self.tape, None
        saved = [blob.tensor.clone() for blob in self.norm.blobs]
        for layer in self.layers:
            x = layer.run([x.detach().requires_grad_(layer.propagate_down[0])])[0].detach()
        for blob, values in zip(self.norm.blobs, saved):  # forward has already counted this batch
            blob.tensor.copy_(values)


@torch.no_grad()
def _normalize(norm, x, gain, bias):
    """Return y and what PyTorch's backward needs: running mean and variance, batch mean, batch 1 / std."""
    if norm.use_global:
        running = norm.statistics()
    else:  # momentum 1 makes `running` the batch statistics, with unbiased variance
        running = [torch.zeros_like(blob.tensor) for blob in norm.blobs[:2]]
    y, mean, inv_std = torch.ops.aten.native_batch_norm(x, gain, bias, *running, not norm.use_global, 1.0, norm.eps)
    if not norm.use_global:
        norm.accumulate(*running)
    return y, *running, mean, inv_std


@torch.no_grad()
def _normalize_by_kernel(norm, x, weights, relu):
    """Return y, batch mean and batch 1 / std."""
    given = norm.statistics() if norm.use_global else None
    y, mean, variance, inv_std = kernel.forward(x, weights[0], weights[1], norm.eps, relu, given)
    if given is None:
        norm.accumulate(mean, variance)
    return y, mean, inv_std


def _match_layout(x, grad):
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return grad.contiguous(memory_format=torch.channels_last)
    return grad.contiguous()


def _set_top_grad(top, grad, rectified, gain):
    """Set the diff of `top` to the gradient of the normalized values.

    That is `grad`, where `rectified` (None: everywhere) is positive, times `gain` (None: 1) of the channel.
    """

    def function(grad):
        grad = grad if rectified is None else mask_grad(grad, rectified, overwrite=False)
        return grad if gain is None else grad * gain.view(-1, *[1] * (grad.dim() - 2))

    if top.has_live_grad_view:
        top.set_grad(function(grad))
    else:
        top.set_grad(grad)
        top.set_pending_grad(function)


class Part:
    """Runner for one of the fused layers; the Scale's runner does the work of all."""

    def __init__(self, fused: Fused, layer: Any) -> None:
        self.fused, self.layer = fused, layer
        self.fall_back, self.release = fused.split, fused.release

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        pass

    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        if self.fused.tape is None:
            self.layer.backward_blobs(tops, propagate_down, bottoms)


class Norm(Part):
    """Runner for the BatchNorm."""

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        self.fused.begin(bottoms[0])


class Scale(Part):
    """Runner for the Scale."""

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        self.fused.forward(tops[0], record)

    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        if self.fused.tape is None:
            self.layer.backward_blobs(tops, propagate_down, bottoms)
        else:
            self.fused.backward(tops[0], propagate_down)
