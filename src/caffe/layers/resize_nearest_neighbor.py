"""ResizeNearestNeighbor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class ResizeNearestNeighbor(Layer):
    """Nearest-neighbor resizing (Synopsys, as in TensorFlow).

    The size is output_height x output_width, or results from scale_height and scale_width. data_format is NHWC by
    default. The source pixel is floor(i / scale); with align_corners it is rounded; with half_pixel_centers it is
    floor((i + 0.5) / scale).
    """

    in_place = False
    examples = (
        Example(
            'resize_nearest_neighbor_param { output_height: 5 output_width: 8 data_format: "NCHW" }', [(1, 2, 3, 4)]
        ),
        Example("resize_nearest_neighbor_param { scale_height: 2 scale_width: 2 }", [(1, 3, 4, 2)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.resize_nearest_neighbor_param
        self.first = spatial_axis(self, p.data_format, bottom)
        self.need(not p.half_pixel_onnx, "resize_nearest_neighbor_param.half_pixel_onnx is not implemented")

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        return [resized(self.param.resize_nearest_neighbor_param, bottom, self.first)]

    def _positions(self, size, out):
        p = self.param.resize_nearest_neighbor_param
        number = np.arange(out, dtype=np.float32)
        if p.align_corners and out > 1:
            return np.floor(number * np.float32((size - 1) / (out - 1)) + 0.5).astype(np.int64).clip(0, size - 1)
        return (
            np.floor((number + 0.5 * p.half_pixel_centers) * np.float32(size / out)).astype(np.int64).clip(0, size - 1)
        )

    def _all_positions(self, shape):
        out = self.top_shapes(tuple(shape))[0]
        return [(axis, self._positions(shape[axis], out[axis])) for axis in (self.first, self.first + 1)]

    def forward(self, x: Tensor) -> Tensor:
        for axis, positions in self._all_positions(x.shape):
            x = x.index_select(axis, torch.from_numpy(positions).to(x.device))
        return x

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        (row, rows), (column, columns) = self._all_positions(g.shape(bottoms[0]))
        half = g.temp("rows")
        g.node("Gather", [bottoms[0], g.constant(rows, "rows")], [half], axis=row)
        g.node("Gather", [half, g.constant(columns, "columns")], tops, axis=column)


def spatial_axis(layer, data_format, bottom):
    """Return the axis of the height: 1 for NHWC, 2 for NCHW."""
    layer.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)
    layer.need(data_format in ("NHWC", "NCHW"), "data_format must be NHWC or NCHW, received '%s'", data_format)
    return 1 if data_format == "NHWC" else 2


def resized(p, bottom, first):
    """Return the shape of the top from output_height and output_width, or scale_height and scale_width."""
    height = p.output_height if p.HasField("output_height") else math.floor(bottom[first] * p.scale_height)
    width = p.output_width if p.HasField("output_width") else math.floor(bottom[first + 1] * p.scale_width)
    return (*bottom[:first], height, width, *bottom[first + 2 :])
