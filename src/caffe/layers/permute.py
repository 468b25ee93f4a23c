"""Permute: axes in another order."""

from caffe.layers.base import Example, Layer, register


@register
class Permute(Layer):
    """The bottom with its axes in the order `order`; axes that are not named follow in their own order (SSD)."""

    in_place = False
    examples = (
        Example("permute_param { order: 0 order: 2 order: 3 order: 1 }", [(2, 3, 4, 5)]),
        Example("permute_param { order: 1 }", [(2, 3, 4)]),
    )

    def setup(self, bottom):
        given = list(self.param.permute_param.order)
        self.need(
            len(set(given)) == len(given) and all(axis < len(bottom) for axis in given),
            "order must name different axes of the bottom %s, received %s",
            bottom,
            given,
        )
        self.order = given + [axis for axis in range(len(bottom)) if axis not in given]

    def top_shapes(self, bottom):
        return [tuple(bottom[axis] for axis in self.order)]

    def forward(self, x):
        return x.permute(self.order).contiguous()

    def to_onnx(self, g, bottoms, tops):
        g.node("Transpose", bottoms, tops, perm=self.order)
