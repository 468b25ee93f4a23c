"""BatchReindex."""

from __future__ import annotations

from typing import Any

from caffe.errors import CaffeError
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class BatchReindex(Layer):
    """Selects items of the first bottom by the indices in the second: y[i] = x[index[i]] (batch_reindex_layer.cpp).

    An item may be selected several times or not at all; its gradient is the sum over its copies.
    """

    num_bottom = 2
    no_gradient = (1,)
    examples = (Example("", [(4, 3, 2), (6,)], values=("normal", 4)),)

    def top_shapes(self, data: Shape, index: Shape) -> list[Shape]:
        self.need(len(index) == 1, "the indices must have one axis, received %s", index)
        return [(index[0], *data[1:])]

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        rows = index.detach().long()
        if rows.numel() and not 0 <= float(index.min()) <= float(index.max()) < x.shape[0]:
            raise CaffeError(f"indices must be in 0 .. {x.shape[0] - 1}, received {index.min():g} .. {index.max():g}")
        return x.index_select(0, rows)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rows = g.temp("rows")
        g.node("Cast", [bottoms[1]], [rows], to=7)  # INT64
        g.node("Gather", [bottoms[0], rows], tops, axis=0)
