"""Crop: crops a blob to the size of another."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Crop(Layer):
    """Crops the first bottom to the sizes of the second from `axis` on, starting at `offset` (crop_layer.cpp).

    `offset` is given once for all axes, or once per axis. Only the shape of the second bottom is used.
    """

    num_bottom = 2
    examples = (
        Example("crop_param { axis: 2 offset: 1 }", [(2, 3, 7, 8), (1, 1, 4, 5)]),
        Example("crop_param { axis: -3 offset: 1 offset: 0 offset: 2 }", [(2, 3, 7, 8), (2, 2, 7, 5)]),
    )

    def setup(self, bottom: Shape, like: Shape) -> None:
        p = self.param.crop_param
        self.begin = self.axis(p.axis, bottom)
        axes = len(bottom) - self.begin
        self.need(
            len(p.offset) in (0, 1, axes),
            "expected one offset, or one per axis from axis %d on (%d); received %d",
            self.begin,
            axes,
            len(p.offset),
        )

    def _ranges(self, bottom, like):
        self.need(
            len(like) == len(bottom), "both bottoms must have the same number of axes, received %s and %s", bottom, like
        )
        offsets = list(self.param.crop_param.offset) or [0]
        offsets = offsets * (len(bottom) - self.begin) if len(offsets) == 1 else offsets
        ranges = [(axis, offset, offset + like[axis]) for axis, offset in enumerate(offsets, self.begin)]
        for axis, start, end in ranges:
            self.need(
                end <= bottom[axis],
                "axis %d: %d values from offset %d on exceed its size %d",
                axis,
                end - start,
                start,
                bottom[axis],
            )
        return ranges

    def top_shapes(self, bottom: Shape, like: Shape) -> list[Shape]:
        return [(*bottom[: self.begin], *(end - start for _, start, end in self._ranges(bottom, like)))]

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        for axis, start, end in self._ranges(tuple(x.shape), tuple(like.shape)):
            x = x.narrow(axis, start, end - start)
        return x

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        axes, starts, ends = (list(n) for n in zip(*self._ranges(g.shape(bottoms[0]), g.shape(bottoms[1]))))
        g.node(
            "Slice",
            [
                bottoms[0],
                *(g.constant(v, n) for v, n in ((starts, "starts"), (ends, "ends"), (axes, "axes"))),
            ],
            tops,
        )
