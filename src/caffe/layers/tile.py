"""Tile."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Tile(Layer):
    """Repeats the bottom `tiles` times along `axis` (tile_layer.cpp)."""

    examples = (
        Example("tile_param { tiles: 3 }", [(2, 3, 4, 5)]),
        Example("tile_param { tiles: 2 axis: -1 }", [(2, 3)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.tile_param
        self.along = self.axis(p.axis, bottom)
        self.need(p.HasField("tiles"), "tile_param needs tiles")
        self.need(p.tiles > 0, "tiles must be positive, received %d", p.tiles)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        self.setup(bottom)
        tiled = bottom[self.along] * self.param.tile_param.tiles
        return [(*bottom[: self.along], tiled, *bottom[self.along + 1 :])]

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat(self._repeats(x.dim()))

    def _repeats(self, rank):
        return [self.param.tile_param.tiles if i == self.along else 1 for i in range(rank)]

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        repeats = np.array(self._repeats(len(g.shape(bottoms[0]))), np.int64)
        g.node("Tile", [bottoms[0], g.constant(repeats, "repeats")], tops)
