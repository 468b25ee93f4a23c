"""BatchNorm: normalization by batch statistics or by accumulated statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import TEST, Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2


@register
class BatchNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps) per channel (Ioffe & Szegedy 2015; batch_norm_layer.cpp).

    With use_global_stats (default: true in TEST, false in TRAIN), the accumulated statistics are used; otherwise the
    statistics of the batch, which are then accumulated. Blobs: the sum of means, the sum of (unbiased) variances, and
    the sum of their weights, by which the first two are divided; every forward first multiplies all three by
    moving_average_fraction. Their lr_mult is 0. Use a Scale layer for a learned scale and bias.

    Forks: NVCaffe (scale_bias, scale_filler, bias_filler) and intel/caffe (filler, bias_filler, use_weight_bias) have
    scale and bias in this layer, as fourth and fifth blob. Weights of NVCaffe 0.15, in the order scale, bias, mean,
    variance, iterations, are reordered. With add_eps_before_sqrt: false (Synopsys), y = (x - mean) / (sqrt(variance) +
    eps).
    """

    examples = (
        Example("", [(4, 3, 5, 4)]),
        Example("batch_norm_param { use_global_stats: false eps: 0.001 }", [(4, 3, 5, 4)]),
        Example("batch_norm_param { use_global_stats: false }", [(6, 3)]),
        Example("batch_norm_param { scale_bias: true }", [(4, 3, 5, 4)]),
        Example("batch_norm_param { add_eps_before_sqrt: false }", [(4, 3, 5, 4)]),
        Example("batch_norm_param { use_global_stats: false filler { value: 2 } bias_term: false }", [(4, 3, 5)]),
    )

    def setup(self, bottom: Shape) -> None:
        p, specs = self.param.batch_norm_param, self.param.param
        self.need(bottom, "the bottom must have at least one axis, received %s", bottom)
        self.use_global = p.use_global_stats if p.HasField("use_global_stats") else self.phase == TEST
        self.eps = p.eps
        self.channels = bottom[1] if len(bottom) > 1 else 1
        self.affine = _has_scale(p)
        self.inside = p.add_eps_before_sqrt
        self.need(self.inside or self.use_global, "add_eps_before_sqrt: false is for use_global_stats")
        for i, shape in enumerate(((self.channels,), (self.channels,), (1,))):
            self.add_blob(shape)
            if i == len(specs):
                specs.add(lr_mult=0)
            if self.affine:  # as in NVCaffe, whatever the prototxt says
                specs[i].lr_mult = specs[i].decay_mult = 0
            self.need(
                specs[i].lr_mult == 0,
                "the statistics are not learned: lr_mult of param %d must be 0, received %g",
                i,
                specs[i].lr_mult,
            )

        if self.affine:
            self.add_blob((self.channels,), _filler(p, ("scale_filler", "filler"), 1))
            if p.bias_term:
                self.add_blob((self.channels,), _filler(p, ("bias_filler",), 0))

    @property
    def plain(self) -> bool:
        """Whether the layer is BVLC Caffe's: no scale and bias, and eps is added to the variance."""
        return self.inside and not self.affine

    def fitted(self, arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Return the blobs of a file in this layer's order and shape."""
        is_nvcaffe_15 = len(arrays) == 5 and arrays[-1].size == 1 and arrays[2].size == self.channels
        if self.affine and is_nvcaffe_15:
            gain, bias, mean, variance, _ = arrays
            arrays = [mean, variance, np.ones(1, np.float32), gain, bias]
        if self.affine and len(arrays) == len(self.blobs):
            arrays = list(arrays)
            if arrays[2].size > 1:  # the same weight for each channel
                arrays[2] = arrays[2].ravel()[:1]
            arrays = [array.reshape(-1) for array in arrays]
        return arrays

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.need(
            len(bottom) < 2 or bottom[1] == self.channels,
            "the statistics are for %d channels, the bottom is %s",
            self.channels,
            bottom,
        )
        return [bottom]

    def accumulated_blobs(self) -> list[Any]:
        return [] if self.use_global else self.blobs[:3]

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return the accumulated mean and variance."""
        mean, variance, weight = (blob.tensor.detach() for blob in self.blobs[:3])
        factor = torch.where(weight == 0, 0.0, 1 / weight)
        return mean * factor, variance * factor

    def forward(self, x: Tensor) -> Tensor:
        channels = x if x.dim() > 1 else x[:, None]
        y = self._normalize_by_global(channels) if self.use_global else self._normalize_by_batch(channels)
        if self.affine:
            y = self._scale(y)
        return y if x.dim() > 1 else y[:, 0]

    def _scale(self, y):
        shape = (-1, *[1] * (y.dim() - 2))
        y = y * self.blobs[3].tensor.view(shape)
        return y + self.blobs[4].tensor.view(shape) if len(self.blobs) > 4 else y

    def _normalize_by_global(self, x):
        mean, variance = self.statistics()
        scale = (variance + self.eps).rsqrt() if self.inside else 1 / (variance.sqrt() + self.eps)
        shape = (-1, *[1] * (x.dim() - 2))
        return torch.addcmul((-mean * scale).view(shape), x, scale.view(shape)).to(x.dtype)

    def _normalize_by_batch(self, x):
        if x.shape[0] == 1:
            y, mean, variance = _normalize_single_item(x, self.eps)
        else:  # momentum 1 returns the batch statistics, with unbiased variance
            mean, variance = (torch.zeros(self.channels, device=x.device) for _ in range(2))
            y = torch.batch_norm(x, None, None, mean, variance, True, 1.0, self.eps, False)
        self.accumulate(mean, variance)
        return y

    def accumulate(self, mean: Tensor, variance: Tensor) -> None:
        """Add the mean and unbiased variance of a batch to the statistics."""
        fraction = self.param.batch_norm_param.moving_average_fraction
        with torch.no_grad():
            for blob, new in zip(self.blobs, (mean, variance, 1.0)):
                blob.tensor.detach().mul_(fraction).add_(new)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rank = len(g.shape(bottoms[0]))
        if self.use_global and rank > 1:
            mean, variance, weight = (blob.data for blob in self.blobs[:3])
            factor = np.float32(1) / weight if weight.any() else np.zeros_like(weight)
            mean, variance = mean * factor, variance * factor
            if not self.inside:
                variance = np.square(np.sqrt(variance) + np.float32(self.eps)) - np.float32(self.eps)
            learned = [blob.data for blob in self.blobs[3:]]
            constants = (
                (learned[0] if learned else np.ones_like(mean), "scale"),
                (learned[1] if len(learned) > 1 else np.zeros_like(mean), "bias"),
                (mean, "mean"),
                (variance, "variance"),
            )
            g.node("BatchNormalization", [bottoms[0], *(g.constant(*c) for c in constants)], tops, epsilon=self.eps)
            return
        self.need(not self.use_global, "BatchNorm of a bottom with 1 axis cannot be exported to ONNX")
        axes = [i for i in range(rank) if i != 1]
        mean, centered, square, variance, safe, root = (
            g.temp(n) for n in ("mean", "centered", "square", "variance", "safe", "root")
        )
        g.node("ReduceMean", bottoms, [mean], axes=axes, keepdims=1)
        g.node("Sub", [bottoms[0], mean], [centered])
        g.node("Mul", [centered, centered], [square])
        g.node("ReduceMean", [square], [variance], axes=axes, keepdims=1)
        g.node("Add", [variance, g.constant(self.eps, "eps")], [safe])
        g.node("Sqrt", [safe], [root])
        if not self.affine:
            g.node("Div", [centered, root], tops)
            return
        normalized, shape = g.temp("normalized"), (-1, *[1] * (rank - 2))
        g.node("Div", [centered, root], [normalized])
        scaled = g.temp("scaled") if len(self.blobs) > 4 else tops[0]
        g.node("Mul", [normalized, g.constant(self.blobs[3].data.reshape(shape), "scale")], [scaled])
        if len(self.blobs) > 4:
            g.node("Add", [scaled, g.constant(self.blobs[4].data.reshape(shape), "bias")], tops)


def _has_scale(p):
    """Return whether a fork's BatchNormParameter requests a learned scale."""
    if p.HasField("use_weight_bias"):
        return p.use_weight_bias
    return p.scale_bias or any(p.HasField(name) for name in ("scale_filler", "bias_filler", "filler"))


def _filler(p, names, value):
    fillers = [getattr(p, name) for name in names if p.HasField(name)]
    return fillers[0] if fillers else caffe_pb2.FillerParameter(type="constant", value=value)


def _normalize_single_item(x, eps):
    """Return (y, mean, unbiased variance) for a batch of one item.

    For such batches the gradient of PyTorch 2.13's batch_norm is wrong if bottom and diff differ in layout and one of
    them is a view.
    """
    axes = [i for i in range(x.dim()) if i != 1]
    centered = x - x.mean(axes, keepdim=True)
    variance = centered.square().mean(axes, keepdim=True)
    count = x.numel() // x.shape[1]
    with torch.no_grad():
        mean, unbiased = x.mean(axes), variance.flatten() * (count / max(1, count - 1))
    return centered * (variance + eps).rsqrt(), mean, unbiased
