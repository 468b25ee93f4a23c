"""BatchNorm: normalization by the batch's or by accumulated statistics."""

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import TEST, Example, Layer, register
from caffe.proto import caffe_pb2


@register
class BatchNorm(Layer):
    """y = (x - mean) / sqrt(variance + eps) for each channel (Ioffe & Szegedy 2015; batch_norm_layer.cpp).

    The statistics are the batch's, and are then accumulated; or the accumulated ones with use_global_stats,
    which is on in TEST and off in TRAIN unless given. Blobs: the sum of means, the sum of variances
    (unbiased), and the sum of their weights, by which the first two are divided; each forward multiplies
    all by moving_average_fraction first. Their lr_mult is 0. A learned scale and bias are a Scale layer of
    its own; NVCaffe (scale_bias, scale_filler, bias_filler) and intel/caffe (filler, bias_filler,
    use_weight_bias) have them here, as a fourth and fifth blob. Weights of NVCaffe 0.15, whose order is scale,
    bias, mean, variance, iterations, are read as well. add_eps_before_sqrt: false (Synopsys) is
    (x - mean) / (sqrt(variance) + eps).
    """

    examples = (
        Example("", [(4, 3, 5, 4)]),
        Example("batch_norm_param { use_global_stats: false eps: 0.001 }", [(4, 3, 5, 4)]),
        Example("batch_norm_param { use_global_stats: false }", [(6, 3)]),
        Example("batch_norm_param { scale_bias: true }", [(4, 3, 5, 4)]),
        Example("batch_norm_param { add_eps_before_sqrt: false }", [(4, 3, 5, 4)]),
        Example("batch_norm_param { use_global_stats: false filler { value: 2 } bias_term: false }", [(4, 3, 5)]),
    )

    def setup(self, bottom):
        p, specs = self.param.batch_norm_param, self.param.param
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
            if self.affine:  # whatever is given, as in NVCaffe
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
    def plain(self):
        """Whether it is Caffe's own, without a fork's scale or another place of eps."""
        return self.inside and not self.affine

    def fitted(self, arrays):
        """The blobs of a file in the order and shape of ours, where a fork has another."""
        last = arrays[-1].size == 1 and arrays[2].size == self.channels if len(arrays) == 5 else False
        if self.affine and last:  # NVCaffe 0.15
            gain, bias, mean, variance, _ = arrays
            arrays = [mean, variance, np.ones(1, np.float32), gain, bias]
        if self.affine and len(arrays) == len(self.blobs):
            arrays = list(arrays)
            if arrays[2].size > 1:  # a factor a channel, all equal
                arrays[2] = arrays[2].ravel()[:1]
            arrays = [array.reshape(-1) for array in arrays]
        return arrays

    def top_shapes(self, bottom):
        self.need(
            len(bottom) < 2 or bottom[1] == self.channels,
            "the statistics are of %d channels, the bottom is %s",
            self.channels,
            bottom,
        )
        return [bottom]

    def statistics(self):
        """The accumulated mean and variance, as tensors."""
        mean, variance, weight = (blob.tensor.detach() for blob in self.blobs[:3])
        factor = torch.where(weight == 0, 0.0, 1 / weight)
        return mean * factor, variance * factor

    def forward(self, x):
        by_channel = x if x.dim() > 1 else x[:, None]
        y = self._by_sums(by_channel) if self.use_global else self._by_batch(by_channel)
        if self.affine:
            y = self._scaled(y)
        return y if x.dim() > 1 else y[:, 0]

    def _scaled(self, y):
        shape = (-1, *[1] * (y.dim() - 2))
        y = y * self.blobs[3].tensor.view(shape)
        return y + self.blobs[4].tensor.view(shape) if len(self.blobs) > 4 else y

    def _by_sums(self, x):
        mean, variance = self.statistics()
        scale = (variance + self.eps).rsqrt() if self.inside else 1 / (variance.sqrt() + self.eps)
        shape = (-1, *[1] * (x.dim() - 2))
        return torch.addcmul((-mean * scale).view(shape), x, scale.view(shape)).to(x.dtype)

    def _by_batch(self, x):
        if x.shape[0] == 1:
            y, mean, variance = _plainly(x, self.eps)
        else:  # momentum 1 leaves the batch's own statistics, the variance unbiased
            mean, variance = (torch.zeros(self.channels, device=x.device) for _ in range(2))
            y = torch.batch_norm(x, None, None, mean, variance, True, 1.0, self.eps, False)
        self.accumulate(mean, variance)
        return y

    def accumulate(self, mean, variance):
        """Add a batch's mean and unbiased variance to the statistics."""
        fraction = self.param.batch_norm_param.moving_average_fraction
        with torch.no_grad():
            for blob, new in zip(self.blobs, (mean, variance, 1.0)):
                blob.tensor.detach().mul_(fraction).add_(new)

    def to_onnx(self, g, bottoms, tops):
        rank = len(g.shape(bottoms[0]))
        if self.use_global and rank > 1:
            mean, variance, weight = (blob.data for blob in self.blobs[:3])
            factor = np.float32(1) / weight if weight.any() else np.zeros_like(weight)
            mean, variance = mean * factor, variance * factor
            if not self.inside:
                variance = np.square(np.sqrt(variance) + np.float32(self.eps)) - np.float32(self.eps)
            learned = [blob.data for blob in self.blobs[3:]]
            gain = learned[0] if learned else np.ones_like(mean)
            named = (
                (gain, "scale"),
                (learned[1] if len(learned) > 1 else np.zeros_like(mean), "bias"),
                (mean, "mean"),
                (variance, "variance"),
            )
            g.node("BatchNormalization", [bottoms[0], *(g.constant(*n) for n in named)], tops, epsilon=self.eps)
            return
        self.need(not self.use_global, "BatchNorm of a bottom with 1 axis has no ONNX form")
        axes = [i for i in range(rank) if i != 1]
        mean, centred, square, variance, safe, root = (
            g.temp(n) for n in ("mean", "centred", "square", "variance", "safe", "root")
        )
        g.node("ReduceMean", bottoms, [mean], axes=axes, keepdims=1)
        g.node("Sub", [bottoms[0], mean], [centred])
        g.node("Mul", [centred, centred], [square])
        g.node("ReduceMean", [square], [variance], axes=axes, keepdims=1)
        g.node("Add", [variance, g.constant(self.eps, "eps")], [safe])
        g.node("Sqrt", [safe], [root])
        if not self.affine:
            g.node("Div", [centred, root], tops)
            return
        normal, shape = g.temp("normal"), (-1, *[1] * (rank - 2))
        g.node("Div", [centred, root], [normal])
        scaled = g.temp("scaled") if len(self.blobs) > 4 else tops[0]
        g.node("Mul", [normal, g.constant(self.blobs[3].data.reshape(shape), "scale")], [scaled])
        if len(self.blobs) > 4:
            g.node("Add", [scaled, g.constant(self.blobs[4].data.reshape(shape), "bias")], tops)


def _has_scale(p):
    """Whether a BatchNormParameter of a fork asks for a learned scale."""
    if p.HasField("use_weight_bias"):
        return p.use_weight_bias
    return p.scale_bias or any(p.HasField(name) for name in ("scale_filler", "bias_filler", "filler"))


def _filler(p, names, value):
    given = [getattr(p, name) for name in names if p.HasField(name)]
    return given[0] if given else caffe_pb2.FillerParameter(type="constant", value=value)


def _plainly(x, eps):
    """(y, mean, unbiased variance) of a batch of one picture, where PyTorch 2.13's derivative is wrong if
    bottom and diff differ in layout and one of them is a view.
    """
    axes = [i for i in range(x.dim()) if i != 1]
    centred = x - x.mean(axes, keepdim=True)
    variance = centred.square().mean(axes, keepdim=True)
    count = x.numel() // x.shape[1]
    with torch.no_grad():
        mean, unbiased = x.mean(axes), variance.flatten() * (count / max(1, count - 1))
    return centred * (variance + eps).rsqrt(), mean, unbiased
