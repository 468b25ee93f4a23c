"""DenseBlock: several densely connected convolutions in one layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import F, torch
from caffe.layers.base import TRAIN, Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2

_EPS = 1e-5


@register
class DenseBlock(Layer):
    """numTransition steps; each appends the growthRate channels of a convolution to its bottom (caffe_ocr).

    A step is normalization, scale and bias, ReLU and a convolution of 3 x 3; with use_BC, a convolution of 1 x 1 to 4 *
    growthRate channels, normalization and ReLU come before it. In TRAIN the statistics are those of the batch. The
    blobs are, for all steps each: filters of 3 x 3, scales, biases, sums of means and of variances, with use_BC
    filters of 1 x 1 and the same four for the second normalization, and last the number of summed batches, as in
    BatchNorm. use_dropout is not implemented (Huang et al. 2016).
    """

    in_place = False
    examples = (
        Example('denseblock_param { numTransition: 2 growthRate: 3 Filter_Filler { type: "msra" } }', [(2, 4, 5, 6)]),
        Example(
            'denseblock_param { numTransition: 2 growthRate: 2 use_BC: true Filter_Filler { type: "msra" } '
            "BN_Scaler_Filler { value: 1 } }",
            [(2, 3, 4, 4)],
        ),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.denseblock_param
        self.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)
        self.need(p.numTransition > 0 and p.growthRate > 0, "numTransition and growthRate must be positive")
        self.need(not p.use_dropout, "denseblock_param.use_dropout is not implemented")
        for name, default in (("pad_h", 1), ("pad_w", 1), ("conv_verticalStride", 1), ("filter_H", 3), ("filter_W", 3)):
            self.need(getattr(p, name) == default, "denseblock_param.%s must be %d", name, default)
        steps, growth = p.numTransition, p.growthRate
        inputs = [bottom[1] + step * growth for step in range(steps)]
        middle = 4 * growth
        self._blobs_of([(growth, middle if p.use_BC else n, 3, 3) for n in inputs], p.Filter_Filler)
        self._statistics([(1, n, 1, 1) for n in inputs])
        if p.use_BC:
            self._blobs_of([(middle, n, 1, 1) for n in inputs], p.Filter_Filler)
            self._statistics([(1, middle, 1, 1)] * steps)
        self.add_blob((1,))
        self._fix_rates()

    def _blobs_of(self, shapes, filler):
        for shape in shapes:
            self.add_blob(shape, filler)

    def _statistics(self, shapes):
        p = self.param.denseblock_param
        one = caffe_pb2.FillerParameter(type="constant", value=1)
        scale = p.BN_Scaler_Filler if p.HasField("BN_Scaler_Filler") else one
        for filler in (scale, p.BN_Bias_Filler, None, one):
            self._blobs_of(shapes, filler)

    def _fix_rates(self):
        """Statistics are not trained."""
        specs = self.param.param
        while len(specs) < len(self.blobs):
            specs.add()
        for index in self._statistics_indices():
            specs[index].lr_mult = specs[index].decay_mult = 0

    def _statistics_indices(self):
        """Return the indices of the blobs of statistics."""
        steps, last = self.param.denseblock_param.numTransition, len(self.blobs) - 1
        return [i for i in (*range(3 * steps, 5 * steps), *range(8 * steps, 10 * steps)) if i < last] + [last]

    def accumulated_blobs(self) -> list[Any]:
        return [self.blobs[i] for i in self._statistics_indices()] if self.phase == TRAIN else []

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        p = self.param.denseblock_param
        return [(bottom[0], bottom[1] + p.numTransition * p.growthRate, *bottom[2:])]

    def forward(self, x: Tensor) -> Tensor:
        p = self.param.denseblock_param
        steps = p.numTransition
        weights = [blob.tensor for blob in self.blobs]
        for step in range(steps):
            y = F.relu(self._normalized(x, weights[step + steps : 5 * steps : steps]))
            if p.use_BC:
                y = F.conv2d(y, weights[step + 5 * steps])
                y = F.relu(self._normalized(y, weights[step + 6 * steps : 10 * steps : steps]))
            x = torch.cat([x, F.conv2d(y, weights[step], padding=1)], dim=1)
        if self.phase == TRAIN:
            with torch.no_grad():
                weights[-1].mul_(p.moving_average_fraction).add_(1)
        return x

    def _normalized(self, x, blobs):
        scale, bias, means, variances = blobs
        if self.phase == TRAIN:
            mean = x.mean((0, 2, 3), keepdim=True)
            variance = (x - mean).square().mean((0, 2, 3), keepdim=True)
            with torch.no_grad():
                for total, new in ((means, mean), (variances, variance)):
                    total.mul_(self.param.denseblock_param.moving_average_fraction).add_(new)
        else:
            mean, variance = means.detach() * self._per_batch, variances.detach() * self._per_batch
        return (x - mean) * (variance + _EPS).rsqrt() * scale + bias

    @property
    def _per_batch(self):
        count = float(self.blobs[-1].data[0])
        return 1 / count if count else 0.0

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p = self.param.denseblock_param
        steps, x = p.numTransition, bottoms[0]
        weights = [np.asarray(blob.data) for blob in self.blobs]
        for step in range(steps):
            y = self._normalized_to_onnx(g, x, weights[step + steps : 5 * steps : steps])
            if p.use_BC:
                y = self._convolved(g, y, weights[step + 5 * steps], 0)
                y = self._normalized_to_onnx(g, y, weights[step + 6 * steps : 10 * steps : steps])
            new, x_next = self._convolved(g, y, weights[step], 1), tops[0] if step == steps - 1 else g.temp("joined")
            g.node("Concat", [x, new], [x_next], axis=1)
            x = x_next

    def _normalized_to_onnx(self, g, x, blobs):
        scale, bias, means, variances = blobs
        factor = scale / np.sqrt(variances * self._per_batch + _EPS)
        product, total, positive = g.temp("product"), g.temp("normal"), g.temp("positive")
        g.node("Mul", [x, g.constant(factor.astype(np.float32), "factor")], [product])
        offset = bias - means * self._per_batch * factor
        g.node("Add", [product, g.constant(offset.astype(np.float32), "offset")], [total])
        g.node("Relu", [total], [positive])
        return positive

    @staticmethod
    def _convolved(g, x, weights, pad):
        out = g.temp("convolved")
        g.node("Conv", [x, g.constant(weights, "filters")], [out], pads=[pad] * 4, kernel_shape=list(weights.shape[2:]))
        return out
