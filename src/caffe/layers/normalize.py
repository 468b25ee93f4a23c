"""Normalize: values divided by their L2 norm."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2


@register
class Normalize(Layer):
    """Divides by the L2 norm over the channels: with norm_param SSD's layer, otherwise caffe-face's.

    SSD: y = scale * x / sqrt(sum x^2 + eps); the sum is over the channels at each position or, with across_spatial
    (default), over the item. `scale` is a blob with one value (channel_shared, default) or one value per channel (Liu
    et al. 2015, ParseNet). caffe-face: y = x / sqrt(sum x^2) over the channels, without blob. caffe-windows (with
    normalize_param): y = x / sqrt(sum x^2 + 1e-6), or x / (sum |x| + 1e-6) with normalize_type L1; a second top is the
    divisor, whose gradient is used with bp_norm.
    """

    num_top = (1, 2)

    examples = (
        Example(
            "norm_param { across_spatial: false channel_shared: false scale_filler { value: 20 } }", [(2, 3, 4, 5)]
        ),
        Example("norm_param { scale_filler { value: 2 } }", [(2, 3, 4, 5)]),
        Example("", [(2, 3, 4, 5)]),
        Example("", [(2, 6)]),
        Example('normalize_param { normalize_type: "L1" bp_norm: true }', [(2, 3, 4, 5)], tops=2),
    )

    def setup(self, bottom: Shape) -> None:
        self.ssd = self.param.HasField("norm_param")
        p = self.param.norm_param
        if self.ssd:
            one = caffe_pb2.FillerParameter(type="constant", value=1)
            shape = (1,) if p.channel_shared else (bottom[1],)
            self.add_blob(shape, p.scale_filler if p.HasField("scale_filler") else one)
        else:
            kind = self.param.normalize_param.normalize_type
            self.need(kind in ("L1", "L2"), "normalize_type must be L1 or L2, received '%s'", kind)
        self.need(self.top_count == 1 or not self.ssd, "SSD's Normalize has one top, received %d", self.top_count)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        return [bottom, (bottom[0], 1, *bottom[2:])][: self.top_count]

    @property
    def _kind(self):
        return "L2" if self.ssd else self.param.normalize_param.normalize_type

    def _axes(self, rank):
        return list(range(1, rank)) if self.ssd and self.param.norm_param.across_spatial else [1]

    @property
    def _eps(self):
        if self.ssd:
            return self.param.norm_param.eps
        return 1e-6 if self.param.HasField("normalize_param") else 1e-12

    def _scale_shape(self, rank):
        return (1, -1, *[1] * (rank - 2))

    def forward(self, x: Tensor) -> Tensor:
        size = x.abs() if self._kind == "L1" else x.square()
        norm = size.sum(self._axes(x.dim()), keepdim=True) + self._eps
        norm = norm if self._kind == "L1" else norm.sqrt()
        y = x / norm
        if self.ssd:
            return y * self.blobs[0].tensor.view(self._scale_shape(x.dim()))
        if self.top_count == 1:
            return y
        return y, norm if self.param.normalize_param.bp_norm else norm.detach()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rank = len(g.shape(bottoms[0]))
        size, total = g.temp("size"), g.temp("total")
        norm = tops[1] if len(tops) > 1 else g.temp("norm")
        g.node(*(("Abs", bottoms, [size]) if self._kind == "L1" else ("Mul", bottoms * 2, [size])))
        g.node("ReduceSum", [size], [total], axes=self._axes(rank), keepdims=1)
        safe = norm if self._kind == "L1" else g.temp("safe")
        g.node("Add", [total, g.constant(self._eps, "eps")], [safe])
        if self._kind == "L2":
            g.node("Sqrt", [safe], [norm])
        y = g.temp("y") if self.ssd else tops[0]
        g.node("Div", [bottoms[0], norm], [y])
        if self.ssd:
            scale = self.blobs[0].data.reshape([n if n > 0 else self.blobs[0].count for n in self._scale_shape(rank)])
            g.node("Mul", [y, g.constant(scale, "scale")], tops[:1])
