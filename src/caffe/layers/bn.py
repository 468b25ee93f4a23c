"""BN: batch normalization with scale and bias, of SegNet, PSPNet and TSN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import TEST, Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2

INFERENCE = caffe_pb2.BNParameter.INFERENCE
_SEGNET = ("bn_mode", "scale_filler", "shift_filler")
_AVERAGING = ("var_eps", "moving_average", "decay", "axis")


@register
class BN(Layer):
    """y = scale * (x - mean) / sqrt(variance + eps) + bias per channel; the fields of bn_param select one of two kinds.

    With bn_mode, scale_filler or shift_filler (and without Synopsys' icnet), it is SegNet's layer with the blobs scale
    and shift: LEARN normalizes by batch statistics in both phases (eps 1e-9), which a second and a third top receive as
    1 x C x 1 x 1, mean and variance; INFERENCE computes scale * x + shift, with the statistics folded into the blobs.
    Otherwise it is PSPNet's and TSN's layer with the blobs slope, bias, mean
    and variance: TRAIN normalizes by batch statistics and updates the accumulated ones by the factor 1 - momentum;
    TEST, and `frozen`, use the accumulated statistics. Files may store the blobs as 1 x C x 1 x 1.
    """

    num_top = (1, 3)
    examples: tuple = (
        Example("bn_param { slope_filler { value: 2 } bias_filler { value: 0.5 } frozen: true }", [(2, 3, 4, 5)]),
        Example(
            "bn_param { bn_mode: INFERENCE scale_filler { value: 2 } shift_filler { value: 0.001 } }", [(2, 3, 4, 5)]
        ),
        Example("bn_param { scale_filler { value: 2 } shift_filler { value: 0.001 } }", [(3, 3, 4, 5)]),
        Example("bn_param { bn_mode: LEARN }", [(3, 3, 4, 5)], tops=3),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.bn_param
        self.channels = bottom[1]
        self.segnet = not p.icnet and any(p.HasField(name) for name in _SEGNET)
        for name in _AVERAGING:
            self.need(not (self.segnet and p.HasField(name)), "bn_param.%s of an old SSD is not implemented", name)
        self.need(
            self.top_count == 1 or (self.segnet and self.by_batch and len(bottom) == 4),
            "only SegNet's LEARN of 4 axes has tops for the statistics",
        )
        one = caffe_pb2.FillerParameter(type="constant", value=1)
        names = ("scale_filler", "shift_filler") if self.segnet else ("slope_filler", "bias_filler")
        for name, default in zip(names, (one, None)):
            self.add_blob((self.channels,), getattr(p, name) if p.HasField(name) else default)
        if not self.segnet:
            self.add_blob((self.channels,))
            self.add_blob((self.channels,), one)
            self._fix_rates(p.frozen)

    def _fix_rates(self, frozen):
        specs = self.param.param
        while len(specs) < 4:
            specs.add()
        for spec in list(specs) if frozen else specs[2:]:
            spec.lr_mult = spec.decay_mult = 0

    def fitted(self, arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Return blobs of 1 x C x 1 x 1 as C."""
        return [array.reshape(-1) for array in arrays]

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.need(bottom[1] == self.channels, "the blobs are for %d channels, the bottom is %s", self.channels, bottom)
        return [bottom, *[(1, self.channels, 1, 1)] * 2][: self.top_count]

    @property
    def by_batch(self):
        """Whether batch statistics are used."""
        p = self.param.bn_param
        if self.segnet:
            return p.bn_mode != INFERENCE
        return self.phase != TEST and not p.frozen

    def accumulated_blobs(self) -> list[Any]:
        return self.blobs[2:] if self.by_batch else []

    @property
    def eps(self):
        """The value added to the variance."""
        return 1e-9 if self.segnet else self.param.bn_param.eps

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        scale, bias, *statistics = (blob.tensor for blob in self.blobs)
        of_batch: tuple[Tensor, ...] = ()
        if self.by_batch:
            y, *of_batch = self._by_batch(x, statistics)
        elif self.segnet:
            y = x
        else:
            mean, variance = (_column(s.detach(), x.dim()) for s in statistics)
            y = (x - mean) * (variance + self.eps).rsqrt()
        y = y * _column(scale, x.dim()) + _column(bias, x.dim())
        return y if self.top_count == 1 else (y, *(s.detach() for s in of_batch))[: self.top_count]

    def _by_batch(self, x, statistics):
        axes = [axis for axis in range(x.dim()) if axis != 1]
        mean = x.mean(axes, keepdim=True)
        variance = (x - mean).square().mean(axes, keepdim=True)
        momentum = self.param.bn_param.momentum
        with torch.no_grad():
            for average, new in zip(statistics, (mean, variance)):
                average.detach().mul_(momentum).add_(new.flatten(), alpha=1 - momentum)
        return (x - mean) * (variance + self.eps).rsqrt(), mean, variance

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rank = len(g.shape(bottoms[0]))
        scale, bias, *statistics = (blob.data for blob in self.blobs)
        if not self.by_batch:
            mean, variance = statistics if statistics else (np.zeros_like(scale), np.ones_like(scale))
            eps = 0.0 if self.segnet else self.eps
            factor = (scale / np.sqrt(variance + eps)).astype(np.float32)
            offset = bias - mean * factor
            product = g.temp("product")
            shape = (-1, *[1] * (rank - 2))
            g.node("Mul", [bottoms[0], g.constant(factor.reshape(shape), "scale")], [product])
            g.node("Add", [product, g.constant(offset.reshape(shape), "bias")], tops)
            return
        shape = (-1, *[1] * (rank - 2))
        axes = [axis for axis in range(rank) if axis != 1]
        centered, square, safe, root, normal, product = (
            g.temp(n) for n in ("centered", "square", "safe", "root", "normal", "product")
        )
        mean, variance = (*tops[1:], *(g.temp(n) for n in ("mean", "variance")[len(tops) - 1 :]))
        g.node("ReduceMean", bottoms, [mean], axes=axes, keepdims=1)
        g.node("Sub", [bottoms[0], mean], [centered])
        g.node("Mul", [centered, centered], [square])
        g.node("ReduceMean", [square], [variance], axes=axes, keepdims=1)
        g.node("Add", [variance, g.constant(self.eps, "eps")], [safe])
        g.node("Sqrt", [safe], [root])
        g.node("Div", [centered, root], [normal])
        g.node("Mul", [normal, g.constant(scale.reshape(shape), "scale")], [product])
        g.node("Add", [product, g.constant(bias.reshape(shape), "bias")], tops[:1])


def _column(values, rank):
    return values.view(1, -1, *[1] * (rank - 2))
