"""PReLU: a leaky ReLU with learned slopes."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2


@register
class PReLU(Layer):
    """y = x if x > 0, otherwise slope * x with a learned slope per channel (He et al. 2015; prelu_layer.cpp).

    With channel_shared, all channels share one slope. The slopes are initialized by `filler`, default 0.25.
    """

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("prelu_param { channel_shared: true filler { value: 0.1 } }", [(2, 3, 4, 5)]),
        Example('prelu_param { filler { type: "uniform" } }', [(4, 3)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.prelu_param
        self.need(len(bottom) >= 2, "the bottom must have 2 axes or more, received %s", bottom)
        filler = p.filler if p.HasField("filler") else caffe_pb2.FillerParameter(type="constant", value=0.25)
        self.add_blob(() if p.channel_shared else (bottom[1],), filler)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        shared = self.param.prelu_param.channel_shared
        self.need(len(bottom) >= 2, "the bottom must have 2 axes or more, received %s", bottom)
        self.need(
            shared or (bottom[1],) == self.blobs[0].shape,
            "the slopes are for %s channels, the bottom is %s",
            self.blobs[0].shape,
            bottom,
        )
        return [bottom]

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.blobs[0].tensor.reshape(-1))

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rank = len(g.shape(bottoms[0]))
        slope = self.blobs[0].data.reshape(-1, *[1] * (rank - 2))
        g.node("PRelu", [bottoms[0], g.constant(slope, "slope")], tops)
