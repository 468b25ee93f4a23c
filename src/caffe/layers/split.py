"""Split: passes a blob to several layers."""

from caffe.layers.base import Example, Layer, register


@register
class Split(Layer):
    """Every top is the bottom; the diffs of the tops are summed (split_layer.cpp). Net inserts it automatically."""

    num_top = (1, None)
    shares_data = True
    examples = (Example("", [(2, 3, 4, 5)], tops=2),)

    def forward(self, x):
        return tuple(x.view_as(x) for _ in range(self.top_count))

    def to_onnx(self, g, bottoms, tops):
        for top in tops:
            g.node("Identity", bottoms, [top])
