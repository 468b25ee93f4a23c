"""ResizeBilinear."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.layers.resize_nearest_neighbor import resized, spatial_axis


@register
class ResizeBilinear(Layer):
    """Bilinear resizing (Synopsys, as in TensorFlow).

    The size is output_height x output_width, or results from scale_height and scale_width. data_format is NHWC by
    default. Source positions are i / scale; with align_corners, corners map to corners; with half_pixel_centers or
    pytorch_half_pixel, pixel centers are used.
    """

    in_place = False
    examples = (
        Example('resize_bilinear_param { output_height: 5 output_width: 8 data_format: "NCHW" }', [(1, 2, 3, 4)]),
        Example(
            'resize_bilinear_param { scale_height: 2 scale_width: 2 align_corners: true data_format: "NCHW" }',
            [(1, 2, 3, 4)],
        ),
        Example("resize_bilinear_param { scale_height: 2 scale_width: 2 half_pixel_centers: true }", [(1, 3, 4, 2)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.resize_bilinear_param
        self.first = spatial_axis(self, p.data_format, bottom)
        for name in ("input_scale", "output_scale"):
            self.need(getattr(p, name) == 1, "resize_bilinear_param.%s is not implemented (quantized nets)", name)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        return [resized(self.param.resize_bilinear_param, bottom, self.first)]

    def _weights(self, size, out):
        """Return the interpolation weights along an axis, out x size."""
        p = self.param.resize_bilinear_param
        number = np.arange(out, dtype=np.float64)
        if p.align_corners and out > 1:
            position = number * (size - 1) / (out - 1)
        elif p.half_pixel_centers or p.pytorch_half_pixel:
            position = (number + 0.5) * size / out - 0.5
            position = np.array([-0.5]) if p.pytorch_half_pixel and out == 1 else position
        else:
            position = number * size / out
        low, share = np.floor(position).astype(int), position - np.floor(position)
        weights = np.zeros((out, size), np.float32)
        np.add.at(weights, (np.arange(out), low.clip(0, size - 1)), 1 - share)
        np.add.at(weights, (np.arange(out), np.ceil(position).astype(int).clip(0, size - 1)), share)
        return weights

    def _both(self, shape):
        out = self.top_shapes(tuple(shape))[0]
        return [self._weights(shape[axis], out[axis]) for axis in (self.first, self.first + 1)]

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (torch.from_numpy(w).to(x) for w in self._both(x.shape))
        return torch.einsum("nhwc,yh,xw->nyxc" if self.first == 1 else "nchw,yh,xw->ncyx", x, rows, columns)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rows, columns = self._both(g.shape(bottoms[0]))
        source, result = bottoms[0], tops[0]
        if self.first == 1:
            source, result = g.temp("planes"), g.temp("resized")
            g.node("Transpose", [bottoms[0]], [source], perm=[0, 3, 1, 2])
        half = g.temp("half")
        g.node("MatMul", [g.constant(rows, "rows"), source], [half])
        g.node("MatMul", [half, g.constant(np.ascontiguousarray(columns.T), "columns")], [result])
        if result != tops[0]:
            g.node("Transpose", [result], tops, perm=[0, 2, 3, 1])
