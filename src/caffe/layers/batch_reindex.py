"""BatchReindex."""

from caffe.errors import CaffeError
from caffe.layers.base import Example, Layer, register


@register
class BatchReindex(Layer):
    """The items of the first bottom that the second, a list of indices, names: y[i] = x[index[i]]
    (batch_reindex_layer.cpp).

    An item may be named several times or not at all; its derivative is the sum over its uses.
    """

    num_bottom = 2
    no_gradient = (1,)
    examples = (Example("", [(4, 3, 2), (6,)], values=("normal", 4)),)

    def top_shapes(self, data, index):
        self.need(len(index) == 1, "the indices must have one axis, received %s", index)
        return [(index[0], *data[1:])]

    def forward(self, x, index):
        rows = index.detach().long()
        if rows.numel() and not 0 <= float(index.min()) <= float(index.max()) < x.shape[0]:
            raise CaffeError(
                "indices must lie in 0 .. %d, received %g .. %g" % (x.shape[0] - 1, index.min(), index.max())
            )
        return x.index_select(0, rows)

    def to_onnx(self, g, bottoms, tops):
        rows = g.temp("rows")
        g.node("Cast", [bottoms[1]], [rows], to=7)  # INT64
        g.node("Gather", [bottoms[0], rows], tops, axis=0)
