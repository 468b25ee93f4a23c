"""SpatialTransformer: samples of an image on a learned affine grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register

_NAMES = ("theta_1_1", "theta_1_2", "theta_1_3", "theta_2_1", "theta_2_2", "theta_2_3")


@register
class SpatialTransformer(Layer):
    """Bilinear samples of the first bottom on an affine grid (Jaderberg et al. 2015; Caffe-ST).

    The second bottom has the entries of the 2 x 3 matrix that st_param does not fix (theta_1_1 .. theta_2_3), in this
    order. It maps (y, x, 1) of the output, with y and x from -1 to below 1 (2 i / output_H - 1), to those of the
    bottom, where -1 is the first pixel and 1 the last plus one: row (y + 1) / 2 * H. Pixels outside are 0. The
    default size is that of the bottom. A second top, if any, has the loss of Caffe-ST's file, which is not
    implemented.
    """

    num_bottom = 2
    examples = (
        Example("", [(2, 3, 4, 5), (2, 6)]),
        Example("st_param { output_H: 3 output_W: 2 theta_1_2: 0 theta_2_1: 0 }", [(1, 2, 4, 5), (1, 4)]),
    )

    def setup(self, bottom: Shape, theta: Shape) -> None:
        p = self.param.st_param
        self.need(p.transform_type == "affine", "transform_type must be affine, received '%s'", p.transform_type)
        self.need(p.sampler_type == "bilinear", "sampler_type must be bilinear, received '%s'", p.sampler_type)
        self.need(not p.HasField("de_transform"), "st_param.de_transform is not implemented")
        self.fixed = [getattr(p, name) if p.HasField(name) else None for name in _NAMES]

    def top_shapes(self, bottom: Shape, theta: Shape) -> list[Shape]:
        p = self.param.st_param
        free = sum(value is None for value in self.fixed)
        self.need(len(bottom) == 4, "the first bottom must have 4 axes, received %s", bottom)
        self.need(
            theta[0] == bottom[0] and int(np.prod(theta[1:])) == free,
            "the second bottom must be %d x %d, received %s",
            bottom[0],
            free,
            theta,
        )
        return [(*bottom[:2], p.output_H or bottom[2], p.output_W or bottom[3])]

    def _grid(self, height, width):
        """Return the positions (y, x, 1) of the output, 3 x height * width."""
        ys, xs = 2 * np.arange(height) / height - 1, 2 * np.arange(width) / width - 1
        grid = np.stack([*np.meshgrid(ys, xs, indexing="ij"), np.ones((height, width))])
        return grid.reshape(3, -1).astype(np.float32)

    def _placement(self):
        """Return (free entries x 6, 6): a matrix and an offset that complete the free entries to all six."""
        free = [index for index, value in enumerate(self.fixed) if value is None]
        matrix = np.zeros((len(free), 6), np.float32)
        matrix[range(len(free)), free] = 1
        return matrix, np.array([value or 0 for value in self.fixed], np.float32)

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        _, _, rows, columns = self.top_shapes(tuple(x.shape), tuple(theta.shape))[0]
        matrix, offset = (torch.from_numpy(array).to(x) for array in self._placement())
        full = (theta.reshape(count, -1) @ matrix + offset).reshape(count, 2, 3)
        places = full @ torch.from_numpy(self._grid(rows, columns)).to(x)
        weights = []
        for axis, size in enumerate((height, width)):
            position = (places[:, axis] + 1) / 2 * size
            numbers = torch.arange(size, dtype=x.dtype, device=x.device)
            weights.append((1 - (position[..., None] - numbers).abs()).clamp(min=0))
        return torch.einsum("nchw,nph,npw->ncp", x, *weights).reshape(count, channels, rows, columns)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        count, channels, height, width = g.shape(bottoms[0])
        _, _, rows, columns = g.shape(tops[0])
        matrix, offset = self._placement()
        flat, chosen, full, split, places = (g.temp(n) for n in ("flat", "chosen", "full", "split", "places"))
        g.node("Reshape", [bottoms[1], g.constant([count, len(matrix)], "rows")], [flat])
        g.node("MatMul", [flat, g.constant(matrix, "placement")], [chosen])
        g.node("Add", [chosen, g.constant(offset[None], "fixed")], [full])
        g.node("Reshape", [full, g.constant([count, 2, 3], "matrix")], [split])
        g.node("MatMul", [split, g.constant(self._grid(rows, columns), "grid")], [places])
        vertical = self._weights_to_onnx(g, places, 0, height)  # n p h
        horizontal = self._weights_to_onnx(g, places, 1, width)
        tall, wide, image, across, weighted, total = (
            g.temp(n) for n in ("tall", "wide", "image", "across", "weighted", "total")
        )
        g.node("Transpose", [horizontal], [wide], perm=[0, 2, 1])  # n w p
        g.node("Reshape", [bottoms[0], g.constant([count, channels * height, width], "lines")], [image])
        g.node("MatMul", [image, wide], [across])  # n (c h) p
        planes, down = g.temp("planes"), g.temp("down")
        g.node("Reshape", [across, g.constant([count, channels, height, rows * columns], "planes")], [planes])
        g.node("Transpose", [vertical], [tall], perm=[0, 2, 1])
        g.node("Unsqueeze", [tall], [down], axes=[1])
        g.node("Mul", [planes, down], [weighted])
        g.node("ReduceSum", [weighted], [total], axes=[2], keepdims=0)
        g.node("Reshape", [total, g.constant([count, channels, rows, columns], "shape")], tops)

    @staticmethod
    def _weights_to_onnx(g, places, axis, size):
        names = ("place", "scaled", "position", "distance", "length", "near", "weight", "column")
        place, scaled, position, distance, length, near, weight, column = (g.temp(name) for name in names)
        g.node("Gather", [places, g.constant(np.int64(axis), "axis")], [place], axis=1)
        g.node("Mul", [place, g.constant(np.float32(size / 2), "half")], [scaled])
        g.node("Add", [scaled, g.constant(np.float32(size / 2), "middle")], [position])
        g.node("Unsqueeze", [position], [column], axes=[2])
        g.node("Sub", [column, g.constant(np.arange(size, dtype=np.float32), "numbers")], [distance])
        g.node("Abs", [distance], [length])
        g.node("Sub", [g.constant(np.float32(1), "one"), length], [near])
        g.node("Max", [near, g.constant(np.float32(0), "zero")], [weight])
        return weight
