"""Transpose: axes in another order."""

from caffe.layers.base import Example, Layer, register


@register
class Transpose(Layer):
    """The bottom with its axes in the order `dim`, which names all of them (CTPN, caffe_ocr)."""

    in_place = False
    examples = (Example("transpose_param { dim: 3 dim: 2 dim: 0 dim: 1 }", [(2, 3, 4, 5)]),)

    def setup(self, bottom):
        self.order = list(self.param.transpose_param.dim)
        self.need(
            sorted(self.order) == list(range(len(bottom))),
            "dim must name each axis of the bottom %s once, received %s",
            bottom,
            self.order,
        )

    def top_shapes(self, bottom):
        return [tuple(bottom[axis] for axis in self.order)]

    def forward(self, x):
        return x.permute(self.order).contiguous()

    def to_onnx(self, g, bottoms, tops):
        g.node("Transpose", bottoms, tops, perm=self.order)
