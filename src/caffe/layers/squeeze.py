"""Squeeze: axes of extent 1 taken out."""

from caffe.layers.base import Example, Layer, register


@register
class Squeeze(Layer):
    """The bottom without the axes `axis`, which must have extent 1; without all such axes where none is named (Synopsys)."""

    in_place = False
    shares_data = True
    examples = (Example("squeeze_param { axis: 2 axis: 3 }", [(2, 3, 1, 1)]), Example("", [(1, 3, 1, 5)]))

    def top_shapes(self, bottom):
        axes = [self.axis(axis, bottom) for axis in self.param.squeeze_param.axis]
        self.need(all(bottom[axis] == 1 for axis in axes), "the axes %s of %s must be 1", axes, bottom)
        axes = axes or [axis for axis, size in enumerate(bottom) if size == 1]
        return [tuple(size for axis, size in enumerate(bottom) if axis not in axes)]

    def forward(self, x):
        return x.reshape(self.top_shapes(tuple(x.shape))[0])

    def to_onnx(self, g, bottoms, tops):
        shape = self.top_shapes(tuple(g.shape(bottoms[0])))[0]
        g.node("Reshape", [bottoms[0], g.constant(list(shape), "shape")], tops)
