"""Silence."""

from caffe.layers.base import Example, Layer, register


@register
class Silence(Layer):
    """Reads its bottoms without producing tops, so that they are not outputs of the net (silence_layer.cpp).

    The diffs of the bottoms are zero.
    """

    num_bottom = (1, None)
    num_top = 0
    examples = (Example("", [(2, 3), (2, 4)], tops=0),)

    def top_shapes(self, *bottoms):
        return []

    def forward(self, *bottoms):
        return ()

    def to_onnx(self, g, bottoms, tops):
        """Emit nothing."""
