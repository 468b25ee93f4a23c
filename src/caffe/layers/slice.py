"""Slice: splits a blob along an axis."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Slice(Layer):
    """Splits the bottom along `axis` (old name: slice_dim) at each `slice_point`, or evenly (slice_layer.cpp)."""

    num_top = (1, None)
    examples = (
        Example("slice_param { slice_point: 1 slice_point: 3 }", [(2, 6, 3, 4)], tops=3),
        Example("slice_param { axis: -1 }", [(2, 3, 4)], tops=2),
        Example("slice_param { slice_dim: 0 slice_point: 1 }", [(3, 2)], tops=2),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.slice_param
        self.need(not (p.HasField("axis") and p.HasField("slice_dim")), "give axis or slice_dim, not both")

    def _axis(self, bottom):
        p = self.param.slice_param
        if not p.HasField("slice_dim"):
            return self.axis(p.axis, bottom)
        self.need(p.slice_dim < len(bottom), "slice_dim %d is out of range: the bottom is %s", p.slice_dim, bottom)
        return p.slice_dim

    def _sizes(self, total):
        points, tops = list(self.param.slice_param.slice_point), self.top_count
        if not points:
            self.need(total % tops == 0, "%d tops do not divide an axis of %d evenly; set slice_point", tops, total)
            return [total // tops] * tops
        self.need(len(points) == tops - 1, "%d tops need %d slice_point, received %d", tops, tops - 1, len(points))
        edges = [0, *points, total]
        sizes = [after - before for before, after in zip(edges, edges[1:])]
        self.need(min(sizes) > 0, "slice_point must increase and be in 1 .. %d, received %s", total - 1, points)
        return sizes

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        along = self._axis(bottom)
        return [(*bottom[:along], n, *bottom[along + 1 :]) for n in self._sizes(bottom[along])]

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        along = self._axis(x.shape)
        return x.split(self._sizes(x.shape[along]), along)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = g.shape(bottoms[0])
        along = self._axis(shape)
        g.node("Split", bottoms, tops, axis=along, split=self._sizes(shape[along]))
