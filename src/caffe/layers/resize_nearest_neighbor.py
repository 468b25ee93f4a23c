"""ResizeNearestNeighbor."""

import math

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register


@register
class ResizeNearestNeighbor(Layer):
    """Planes resized by taking pixels (Synopsys, as TensorFlow): to output_height x output_width, or by scale_height and
    scale_width. data_format is NHWC unless given. The pixel taken is floor(i / scale), rounded with align_corners,
    floor((i + 0.5) / scale) with half_pixel_centers.
    """

    in_place = False
    examples = (
        Example(
            'resize_nearest_neighbor_param { output_height: 5 output_width: 8 data_format: "NCHW" }', [(1, 2, 3, 4)]
        ),
        Example("resize_nearest_neighbor_param { scale_height: 2 scale_width: 2 }", [(1, 3, 4, 2)]),
    )

    def setup(self, bottom):
        p = self.param.resize_nearest_neighbor_param
        self.first = spatial_axis(self, p.data_format, bottom)
        self.need(not p.half_pixel_onnx, "resize_nearest_neighbor_param.half_pixel_onnx is not implemented")

    def top_shapes(self, bottom):
        return [resized(self.param.resize_nearest_neighbor_param, bottom, self.first)]

    def _places(self, size, out):
        p = self.param.resize_nearest_neighbor_param
        number = np.arange(out, dtype=np.float32)
        if p.align_corners and out > 1:
            return np.floor(number * np.float32((size - 1) / (out - 1)) + 0.5).astype(np.int64).clip(0, size - 1)
        return (
            np.floor((number + 0.5 * p.half_pixel_centers) * np.float32(size / out)).astype(np.int64).clip(0, size - 1)
        )

    def _all_places(self, shape):
        out = self.top_shapes(tuple(shape))[0]
        return [(axis, self._places(shape[axis], out[axis])) for axis in (self.first, self.first + 1)]

    def forward(self, x):
        for axis, places in self._all_places(x.shape):
            x = x.index_select(axis, torch.from_numpy(places).to(x.device))
        return x

    def to_onnx(self, g, bottoms, tops):
        (row, rows), (column, columns) = self._all_places(g.shape(bottoms[0]))
        half = g.temp("rows")
        g.node("Gather", [bottoms[0], g.constant(rows, "rows")], [half], axis=row)
        g.node("Gather", [half, g.constant(columns, "columns")], tops, axis=column)


def spatial_axis(layer, data_format, bottom):
    """The axis of the height: 1 for NHWC, 2 for NCHW."""
    layer.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)
    layer.need(data_format in ("NHWC", "NCHW"), "data_format must be NHWC or NCHW, received '%s'", data_format)
    return 1 if data_format == "NHWC" else 2


def resized(p, bottom, first):
    """The top's shape by output_height and output_width, or scale_height and scale_width."""
    height = p.output_height if p.HasField("output_height") else math.floor(bottom[first] * p.scale_height)
    width = p.output_width if p.HasField("output_width") else math.floor(bottom[first + 1] * p.scale_width)
    return (*bottom[:first], height, width, *bottom[first + 2 :])
