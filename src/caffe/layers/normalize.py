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
    et al. 2015, ParseNet). caffe-face: y = x / sqrt(sum x^2) over the channels, without blob.
    """

    examples = (
        Example(
            "norm_param { across_spatial: false channel_shared: false scale_filler { value: 20 } }", [(2, 3, 4, 5)]
        ),
        Example("norm_param { scale_filler { value: 2 } }", [(2, 3, 4, 5)]),
        Example("", [(2, 3, 4, 5)]),
        Example("", [(2, 6)]),
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
            self.need(kind == "L2", "normalize_type must be L2, received '%s'", kind)

    def _axes(self, rank):
        return list(range(1, rank)) if self.ssd and self.param.norm_param.across_spatial else [1]

    @property
    def _eps(self):
        return self.param.norm_param.eps if self.ssd else 1e-12

    def _scale_shape(self, rank):
        return (1, -1, *[1] * (rank - 2))

    def forward(self, x: Tensor) -> Tensor:
        norm = (x.square().sum(self._axes(x.dim()), keepdim=True) + self._eps).sqrt()
        y = x / norm
        return y * self.blobs[0].tensor.view(self._scale_shape(x.dim())) if self.ssd else y

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rank = len(g.shape(bottoms[0]))
        square, total, safe, norm = (g.temp(n) for n in ("square", "total", "safe", "norm"))
        g.node("Mul", [bottoms[0], bottoms[0]], [square])
        g.node("ReduceSum", [square], [total], axes=self._axes(rank), keepdims=1)
        g.node("Add", [total, g.constant(self._eps, "eps")], [safe])
        g.node("Sqrt", [safe], [norm])
        y = g.temp("y") if self.ssd else tops[0]
        g.node("Div", [bottoms[0], norm], [y])
        if self.ssd:
            scale = self.blobs[0].data.reshape([n if n > 0 else self.blobs[0].count for n in self._scale_shape(rank)])
            g.node("Mul", [y, g.constant(scale, "scale")], tops)
