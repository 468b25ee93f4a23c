"""PReLU: a leaky ReLU whose slopes are learned."""

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, register
from caffe.proto import caffe_pb2


@register
class PReLU(Layer):
    """y = x where x > 0, else slope * x with one learned slope a channel, or one for all with channel_shared.

    (He et al. 2015; prelu_layer.cpp) The slopes start at 0.25 unless `filler` says otherwise.
    """

    examples = (
        Example("", [(2, 3, 4, 5)]),
        Example("prelu_param { channel_shared: true filler { value: 0.1 } }", [(2, 3, 4, 5)]),
        Example('prelu_param { filler { type: "uniform" } }', [(4, 3)]),
    )

    def setup(self, bottom):
        p = self.param.prelu_param
        self.need(len(bottom) >= 2, "the bottom must have 2 axes or more, received %s", bottom)
        filler = p.filler if p.HasField("filler") else caffe_pb2.FillerParameter(type="constant", value=0.25)
        self.add_blob(() if p.channel_shared else (bottom[1],), filler)

    def top_shapes(self, bottom):
        shared = self.param.prelu_param.channel_shared
        self.need(len(bottom) >= 2, "the bottom must have 2 axes or more, received %s", bottom)
        self.need(
            shared or (bottom[1],) == self.blobs[0].shape,
            "there are slopes for %s channels, the bottom is %s",
            self.blobs[0].shape,
            bottom,
        )
        return [bottom]

    def forward(self, x):
        return F.prelu(x, self.blobs[0].tensor.reshape(-1))

    def to_onnx(self, g, bottoms, tops):
        rank = len(g.shape(bottoms[0]))
        slope = self.blobs[0].data.reshape(-1, *[1] * (rank - 2))
        g.node("PRelu", [bottoms[0], g.constant(slope, "slope")], tops)
