"""Reorg: darknet's exchange of pixels and channels."""

from caffe.layers.base import Example, Layer, register


@register
class Reorg(Layer):
    """C x H x W becomes C s^2 x H/s x W/s (s = stride), or with `reverse` C / s^2 x H s x W s, in darknet's order (Redmon &
    Farhadi 2017).

    That order is what its code does, not what one would expect: the bottom's memory is read as C / s^2 planes of H s x W s,
    whose pixels are dealt to the channels by their place in blocks of s x s; the result's memory is read as the top.
    """

    in_place = False
    examples = (
        Example("reorg_param { stride: 2 }", [(2, 4, 4, 6)]),
        Example("reorg_param { stride: 2 reverse: true }", [(1, 8, 2, 3)]),
    )

    def setup(self, bottom):
        p = self.param.reorg_param
        self.need(p.stride > 0, "reorg_param needs a stride")
        square = p.stride * p.stride
        self.need(bottom[1] % square == 0, "stride %d: its square must divide the channels of %s", p.stride, bottom)

    def top_shapes(self, bottom):
        s, reverse = self.param.reorg_param.stride, self.param.reorg_param.reverse
        count, channels, height, width = bottom
        if reverse:
            return [(count, channels // s**2, height * s, width * s)]
        self.need(height % s == 0 and width % s == 0, "stride %d must divide the plane of %s", s, bottom)
        return [(count, channels * s**2, height // s, width // s)]

    def _steps(self, shape):
        """(shape to read as, order of its axes)."""
        s = self.param.reorg_param.stride
        count, channels, height, width = shape
        few = channels // s**2
        if self.param.reorg_param.reverse:  # the bottom's channels are (row, column, plane)
            return (count, s, s, few, height, width), (0, 3, 4, 1, 5, 2)
        return (count, few, height, s, width, s), (0, 3, 5, 1, 2, 4)

    def forward(self, x):
        split, order = self._steps(tuple(x.shape))
        return x.reshape(split).permute(order).reshape(self.top_shapes(tuple(x.shape))[0])

    def to_onnx(self, g, bottoms, tops):
        shape = tuple(g.shape(bottoms[0]))
        split, order = self._steps(shape)
        planes, dealt = g.temp("planes"), g.temp("dealt")
        g.node("Reshape", [bottoms[0], g.constant(list(split), "split")], [planes])
        g.node("Transpose", [planes], [dealt], perm=list(order))
        g.node("Reshape", [dealt, g.constant(list(self.top_shapes(shape)[0]), "shape")], tops)
