"""SpaceToBatchND: moves blocks of the spatial axes into the batch."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class SpaceToBatchND(Layer):
    """Moves blocks of the axes from 1 on into the outer part of the batch (Synopsys).

    The axes are first padded by `paddings`, two values per axis, and then divided into blocks of `block_shape`, as in
    TensorFlow.
    """

    in_place = False
    examples = (Example("space_to_batch_nd_param { block_shape: [2, 3] paddings: [0, 1, 1, 1] }", [(2, 3, 4, 5)]),)

    def setup(self, bottom: Shape) -> None:
        p = self.param.space_to_batch_nd_param
        self.block, self.pads = list(p.block_shape), list(p.paddings) or [0] * (2 * len(p.block_shape))
        self.need(
            len(self.pads) == 2 * len(self.block) < 2 * len(bottom), "expected two paddings per value of block_shape"
        )

    def _padded(self, bottom):
        sizes = [n + sum(self.pads[2 * i : 2 * i + 2]) for i, n in enumerate(bottom[1 : len(self.block) + 1])]
        self.need(
            all(n % b == 0 for n, b in zip(sizes, self.block)), "block_shape %s must divide %s", self.block, sizes
        )
        return sizes

    def _steps(self, bottom):
        """Return the intermediate shape, the order of its axes, and the shape of the top."""
        count, rest = len(self.block), bottom[len(self.block) + 1 :]
        sizes = self._padded(bottom)
        split = [bottom[0], *(n for size, b in zip(sizes, self.block) for n in (size // b, b)), *rest]
        order = [*range(2, 2 * count + 1, 2), 0, *range(1, 2 * count, 2), *range(2 * count + 1, len(split))]
        items = bottom[0]
        for block in self.block:
            items *= block
        return split, order, (items, *(n // b for n, b in zip(sizes, self.block)), *rest)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        return [self._steps(bottom)[2]]

    def forward(self, x: Tensor) -> Tensor:
        split, order, shape = self._steps(tuple(x.shape))
        pairs = [self.pads[2 * i : 2 * i + 2] for i in range(len(self.block))]
        after = [[0, 0]] * (x.dim() - 1 - len(pairs))
        x = F.pad(x, [n for pair in reversed([*pairs, *after]) for n in pair])
        return x.reshape(split).permute(order).reshape(shape)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        bottom = tuple(g.shape(bottoms[0]))
        split, order, shape = self._steps(bottom)
        rest = [0] * (len(bottom) - 1 - len(self.block))
        pads = [0, *self.pads[::2], *rest, 0, *self.pads[1::2], *rest]
        padded, reshaped, permuted = g.temp("padded"), g.temp("reshaped"), g.temp("permuted")
        g.node("Pad", [bottoms[0], g.constant(pads, "pads")], [padded])
        g.node("Reshape", [padded, g.constant(split, "split")], [reshaped])
        g.node("Transpose", [reshaped], [permuted], perm=order)
        g.node("Reshape", [permuted, g.constant(list(shape), "shape")], tops)
