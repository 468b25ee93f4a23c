"""BatchToSpaceND: moves items of the batch into blocks of the spatial axes."""

from __future__ import annotations

import math
from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class BatchToSpaceND(Layer):
    """Inverse of SpaceToBatchND: moves the outer part of the batch into blocks of the axes from 1 on (Synopsys).

    `block_shape` gives the size of the blocks; afterwards the axes are cropped by `crops`, two values per axis, as in
    TensorFlow.
    """

    in_place = False
    examples = (Example("batch_to_space_nd_param { block_shape: [2, 3] crops: [0, 1, 1, 1] }", [(12, 2, 3, 5)]),)

    def setup(self, bottom: Shape) -> None:
        p = self.param.batch_to_space_nd_param
        self.block, self.crops = list(p.block_shape), list(p.crops) or [0] * (2 * len(p.block_shape))
        self.need(
            len(self.crops) == 2 * len(self.block) < 2 * len(bottom), "expected two crops per value of block_shape"
        )
        self.need(
            bottom[0] % math.prod(self.block) == 0, "block_shape %s must divide the batch of %s", self.block, bottom
        )

    def _steps(self, bottom):
        """Return the intermediate shape, the order of its axes, and the shape before cropping."""
        count, rest = len(self.block), bottom[len(self.block) + 1 :]
        items = bottom[0] // math.prod(self.block)
        split = [*self.block, items, *bottom[1:]]
        order = [count, *(axis for i in range(count) for axis in (count + 1 + i, i)), *range(2 * count + 1, len(split))]
        return split, order, [items, *(n * b for n, b in zip(bottom[1:], self.block)), *rest]

    def _ends(self, whole):
        """Return (start, end) for each cropped axis."""
        return [(self.crops[2 * i], whole[i + 1] - self.crops[2 * i + 1]) for i in range(len(self.block))]

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        whole = self._steps(bottom)[2]
        ends = self._ends(whole)
        self.need(all(start < end for start, end in ends), "crops %s leave nothing of the shape %s", self.crops, whole)
        return [(whole[0], *(end - start for start, end in ends), *whole[len(ends) + 1 :])]

    def forward(self, x: Tensor) -> Tensor:
        split, order, whole = self._steps(tuple(x.shape))
        index = (slice(None), *(slice(start, end) for start, end in self._ends(whole)))
        return x.reshape(split).permute(order).reshape(whole)[index].contiguous()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        split, order, whole = self._steps(tuple(g.shape(bottoms[0])))
        reshaped, permuted, joined = g.temp("reshaped"), g.temp("permuted"), g.temp("joined")
        g.node("Reshape", [bottoms[0], g.constant(split, "split")], [reshaped])
        g.node("Transpose", [reshaped], [permuted], perm=order)
        g.node("Reshape", [permuted, g.constant(whole, "whole")], [joined])
        starts, ends = zip(*self._ends(whole))
        axes = list(range(1, len(starts) + 1))
        names = [g.constant(list(v), n) for v, n in ((starts, "starts"), (ends, "ends"), (axes, "axes"))]
        g.node("Slice", [joined, *names], tops)
