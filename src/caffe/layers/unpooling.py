"""UnPooling: each value spreads over its window of a larger top."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2

FIXED, DIV, REP = (caffe_pb2.UnPoolingParameter.UnPoolMethod.Value(name) for name in ("FIXED", "DIV", "REP"))


@register
class UnPooling(Layer):
    """Spread each value over a window of out_kernel_size values, out_stride apart, less out_pad at each side (SSD).

    FIXED writes it to the middle of the window; DIV divides it by the size of the window; REP repeats it. Where windows
    overlap, FIXED keeps the last value, and DIV and REP add values divided by the number of windows. With a second
    bottom, the windows are chosen so that the top has its height and width. Source: unpooling_layer.cpp of the SSD
    branch of Caffe.
    """

    num_bottom = (1, 2)
    no_gradient = (1,)
    examples = (
        Example("unpooling_param { out_kernel_size: 2 out_stride: 2 }", [(2, 3, 2, 3)]),
        Example("unpooling_param { unpool: DIV out_kernel_size: 3 out_stride: 2 out_pad: 1 }", [(2, 3, 2, 3)]),
        Example("unpooling_param { unpool: REP out_kernel_size: 3 out_stride: 1 }", [(2, 3, 2, 3)]),
    )

    def setup(self, bottom: Shape, like: Shape | None = None) -> None:
        p = self.param.unpooling_param
        self.need(p.unpool in (FIXED, DIV, REP), "unpool must be FIXED, DIV or REP")
        if like is None:
            kernel, stride, pad = (self._pair(name) for name in ("out_kernel", "out_stride", "out_pad"))
            self.need(min(kernel) > 0 and min(stride) > 0, "out_kernel_size and out_stride must be positive")
            self.need(all(a < k for a, k in zip(pad, kernel)), "out_pad must be less than the kernel")

    def _pair(self, name):
        p = self.param.unpooling_param
        both = (name + "_h", name + "_w")
        if all(p.HasField(field) for field in both):
            return tuple(getattr(p, field) for field in both)
        return (getattr(p, "out_kernel_size" if name == "out_kernel" else name),) * 2

    def _windows(self, bottom, like):
        """Return (size, kernel, stride, pad) of both axes."""
        if like is None:
            return list(zip(bottom[2:], *(self._pair(name) for name in ("out_kernel", "out_stride", "out_pad"))))
        windows = []
        for size, wanted in zip(bottom[2:], like[2:]):
            kernel = -(-wanted // size)
            stride = 1 if kernel == wanted else kernel
            windows.append((size, kernel, stride, max(0, ((size - 1) * stride + kernel - wanted) // 2)))
        return windows

    def top_shapes(self, bottom: Shape, like: Shape | None = None) -> list[Shape]:
        self.need(len(bottom) == 4 and min(bottom[2:]) > 0, "the bottom must have 4 axes, received %s", bottom)
        return [(*bottom[:2], *(len(matrix) for matrix in self._matrices(bottom, like)))]

    def _matrices(self, bottom, like):
        """Return the matrices (top size x bottom size) that the columns and the rows are multiplied by."""
        return [_matrix(self.param.unpooling_param.unpool, *window) for window in self._windows(bottom, like)]

    def forward(self, x: Tensor, like: Tensor | None = None) -> Tensor:
        matrices = self._matrices(tuple(x.shape), None if like is None else tuple(like.shape))
        rows, columns = (torch.from_numpy(matrix).to(x) for matrix in matrices)
        return rows @ x @ columns.T

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        rows, columns = self._matrices(*(tuple(g.shape(name)) for name in bottoms), *[None] * (2 - len(bottoms)))
        tall = g.temp("rows")
        g.node("MatMul", [g.constant(rows, "rows"), bottoms[0]], [tall])
        g.node("MatMul", [tall, g.constant(np.ascontiguousarray(columns.T), "columns")], tops)


def _matrix(method, size, kernel, stride, pad):
    out = (size - 1) * stride - 2 * pad + kernel
    matrix = np.zeros((max(0, out), size), np.float32)
    for index in range(size):
        begin, end = index * stride - pad, index * stride - pad + kernel
        if method == FIXED:
            middle = min(max((begin + end - 1) // 2, 0), out - 1)
            matrix[middle] = 0
            matrix[middle, index] = 1
        else:
            length = min(end, out + pad) - begin if method == DIV else 1
            matrix[max(begin, 0) : min(end, out), index] = 1 / length
    return matrix if method == FIXED else matrix / np.maximum((matrix > 0).sum(1, keepdims=True), 1)
