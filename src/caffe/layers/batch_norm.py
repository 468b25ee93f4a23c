"""BatchNorm: normalization by batch statistics or by accumulated statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import TEST, Example, Layer, Shape, Tensor, register


@register
class BatchNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps) per channel (Ioffe & Szegedy 2015; batch_norm_layer.cpp).

    With use_global_stats (default: true in TEST, false in TRAIN), the accumulated statistics are used; otherwise the
    statistics of the batch, which are then accumulated. Blobs: the sum of means, the sum of (unbiased) variances, and
    the sum of their weights, by which the first two are divided; every forward first multiplies all three by
    moving_average_fraction. Their lr_mult is 0. Use a Scale layer for a learned scale and bias.
    """

    examples = (
        Example("", [(4, 3, 5, 4)]),
        Example("batch_norm_param { use_global_stats: false eps: 0.001 }", [(4, 3, 5, 4)]),
        Example("batch_norm_param { use_global_stats: false }", [(6, 3)]),
    )

    def setup(self, bottom: Shape) -> None:
        p, specs = self.param.batch_norm_param, self.param.param
        self.need(bottom, "the bottom must have at least one axis, received %s", bottom)
        self.use_global = p.use_global_stats if p.HasField("use_global_stats") else self.phase == TEST
        self.eps = p.eps
        self.channels = bottom[1] if len(bottom) > 1 else 1
        for i, shape in enumerate(((self.channels,), (self.channels,), (1,))):
            self.add_blob(shape)
            if i == len(specs):
                specs.add(lr_mult=0)
            self.need(
                specs[i].lr_mult == 0,
                "the statistics are not learned: lr_mult of param %d must be 0, received %g",
                i,
                specs[i].lr_mult,
            )

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.need(
            len(bottom) < 2 or bottom[1] == self.channels,
            "the statistics are for %d channels, the bottom is %s",
            self.channels,
            bottom,
        )
        return [bottom]

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Return the accumulated mean and variance."""
        mean, variance, weight = (blob.tensor.detach() for blob in self.blobs)
        factor = torch.where(weight == 0, 0.0, 1 / weight)
        return mean * factor, variance * factor

    def forward(self, x: Tensor) -> Tensor:
        channels = x if x.dim() > 1 else x[:, None]
        y = self._normalize_by_global(channels) if self.use_global else self._normalize_by_batch(channels)
        return y if x.dim() > 1 else y[:, 0]

    def _normalize_by_global(self, x):
        mean, variance = self.statistics()
        scale = (variance + self.eps).rsqrt()
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
            mean, variance, weight = (blob.data for blob in self.blobs)
            factor = np.float32(1) / weight if weight.any() else np.zeros_like(weight)
            mean, variance = mean * factor, variance * factor
            constants = (
                (np.ones_like(mean), "scale"),
                (np.zeros_like(mean), "bias"),
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
        g.node("Div", [centered, root], tops)


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
