"""Concat: concatenates blobs along an axis."""

from __future__ import annotations

import math
from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Concat(Layer):
    """Concatenates the bottoms along `axis` (old name: concat_dim); all other axes must agree (concat_layer.cpp).

    With per_fla_fuse (intel/caffe), the channels of each bottom are first moved to the last axis, and all axes except
    the batch axis are merged.
    """

    num_bottom = (1, None)
    examples = (
        Example("", [(2, 3, 4, 5), (2, 1, 4, 5), (2, 2, 4, 5)]),
        Example("concat_param { axis: -1 }", [(2, 3, 4), (2, 3, 1)]),
        Example("concat_param { concat_dim: 0 }", [(2, 3), (4, 3)]),
        Example("concat_param { per_fla_fuse: true }", [(2, 3, 4, 5), (2, 2, 2, 2)]),
    )

    @property
    def flattens(self) -> bool:
        """Whether the bottoms are permuted and flattened first."""
        return self.param.concat_param.per_fla_fuse

    def top_shapes(self, first: Shape, *others: Shape) -> list[Shape]:
        if self.flattens:
            first, *rest = ((shape[0], math.prod(shape[1:])) for shape in (first, *others))
            others = tuple(rest)
        self.along = self._axis(first)
        for i, other in enumerate(others, 1):
            self.need(
                len(other) == len(first)
                and all(a == b for k, (a, b) in enumerate(zip(first, other)) if k != self.along),
                "bottoms must agree in all axes except axis %d: bottom 0 is %s, bottom %d is %s",
                self.along,
                first,
                i,
                other,
            )
        return [(*first[: self.along], sum(s[self.along] for s in (first, *others)), *first[self.along + 1 :])]

    def _axis(self, bottom):
        p = self.param.concat_param
        if not p.HasField("concat_dim"):
            return self.axis(p.axis, bottom)
        self.need(not p.HasField("axis"), "give axis or concat_dim, not both")
        self.need(
            p.concat_dim < len(bottom),
            "concat_dim %d is out of range: the bottom is %s",
            p.concat_dim,
            bottom,
        )
        return p.concat_dim

    def forward(self, *bottoms: Tensor) -> Tensor:
        if self.flattens:
            bottoms = tuple(x.movedim(1, -1).flatten(1) for x in bottoms)
        return torch.cat(bottoms, self._axis(bottoms[0].shape)) if len(bottoms) > 1 else bottoms[0].view_as(bottoms[0])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        if self.flattens:
            g.node("Concat", [_flat_to_onnx(g, bottom) for bottom in bottoms], tops, axis=1)
            return
        g.node("Concat", bottoms, tops, axis=self._axis(g.shape(bottoms[0])))


def _flat_to_onnx(g, bottom):
    rank, permuted, flat = len(g.shape(bottom)), g.temp("permuted"), g.temp("flat")
    g.node("Transpose", [bottom], [permuted], perm=[0, *range(2, rank), 1])
    g.node("Flatten", [permuted], [flat], axis=1)
    return flat
