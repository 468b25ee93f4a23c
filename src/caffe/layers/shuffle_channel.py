"""ShuffleChannel."""

from caffe.layers.base import Example, Layer, register


@register
class ShuffleChannel(Layer):
    """Channels in `group` groups, dealt out anew: the first of each group, then the second (Zhang et al. 2017; ShuffleNet)."""

    examples = (Example("shuffle_channel_param { group: 3 }", [(2, 6, 4, 5)]),)

    def setup(self, bottom):
        group = self.param.shuffle_channel_param.group
        self.need(group > 0 and bottom[1] % group == 0, "group %d must divide the channels of %s", group, bottom)

    def _split(self, shape):
        group = self.param.shuffle_channel_param.group
        return (shape[0], group, shape[1] // group, *shape[2:])

    def forward(self, x):
        return x.reshape(self._split(x.shape)).transpose(1, 2).reshape(x.shape)

    def to_onnx(self, g, bottoms, tops):
        shape = tuple(g.shape(bottoms[0]))
        split, dealt = g.temp("split"), g.temp("dealt")
        g.node("Reshape", [bottoms[0], g.constant(list(self._split(shape)), "split")], [split])
        g.node("Transpose", [split], [dealt], perm=[0, 2, 1, *range(3, len(shape) + 1)])
        g.node("Reshape", [dealt, g.constant(list(shape), "shape")], tops)
