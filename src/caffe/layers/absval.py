"""AbsVal."""

from caffe.layers.base import Example, Layer, register


@register
class AbsVal(Layer):
    """y = |x|; the gradient at 0 is 0 (absval_layer.cpp). Not in place."""

    in_place = False
    examples = (Example("", [(2, 3, 4, 5)]),)

    def forward(self, x):
        return x.abs()

    def to_onnx(self, g, bottoms, tops):
        g.node("Abs", bottoms, tops)
