"""FlowWarp: an image moved by a flow field."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2


@register
class FlowWarp(Layer):
    """Bilinear values of the first bottom at (x + u, y + v), with the flow (u, v) in the second (FlowNet2).

    Positions outside the image, and the last half pixel beyond it, have the fill_value 0 or not-a-number.
    """

    num_bottom = 2
    examples = (Example("", [(2, 3, 4, 5), (2, 2, 4, 5)]),)

    def top_shapes(self, image: Shape, flow: Shape) -> list[Shape]:
        expected = (image[0], 2, *image[2:])
        self.need(len(image) == 4 and flow == expected, "the flow must be %s, received %s", expected, flow)
        return [image]

    @property
    def _fill(self):
        filling = self.param.flow_warp_param.fill_value
        return float("nan") if filling == caffe_pb2.FlowWarpParameter.NOT_A_NUMBER else 0.0

    def forward(self, x: Tensor, flow: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        column = flow[:, 0] + torch.arange(width, dtype=x.dtype, device=x.device)
        row = flow[:, 1] + torch.arange(height, dtype=x.dtype, device=x.device)[:, None]
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        left, top = column.detach().floor(), row.detach().floor()
        across, down = (column - left)[:, None], (row - top)[:, None]
        corners = []
        for dy in (0, 1):
            for dx in (0, 1):
                ys = (top + dy).clamp(0, height - 1).nan_to_num().long()
                xs = (left + dx).clamp(0, width - 1).nan_to_num().long()
                index = (ys * width + xs).reshape(count, 1, -1).expand(-1, channels, -1)
                corners.append(x.reshape(count, channels, -1).gather(2, index).view_as(x))
        upper = corners[0] * (1 - across) + corners[1] * across
        lower = corners[2] * (1 - across) + corners[3] * across
        return torch.where(inside[:, None], upper * (1 - down) + lower * down, self._fill)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        count, channels, height, width = g.shape(bottoms[0])
        sizes = np.array([width, height], np.float32).reshape(1, 2, 1, 1)
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)))[None].astype(np.float32)
        names = ("place", "low", "clamped", "whole", "part", "flat")
        place, low, clamped, whole, part, flat = (g.temp(name) for name in names)
        g.node("Add", [bottoms[1], g.constant(grid, "grid")], [place])
        g.node("Max", [place, g.constant(np.float32(-1), "before")], [low])
        g.node("Min", [low, g.constant(sizes, "sizes")], [clamped])
        g.node("Floor", [clamped], [whole])
        g.node("Sub", [clamped, whole], [part])
        g.node("Reshape", [bottoms[0], g.constant([count, channels, height * width], "flat")], [flat])
        weights = self._weights_to_onnx(g, part)
        parts = []
        for dy in (0, 1):
            for dx in (0, 1):
                value = self._corner_to_onnx(g, flat, whole, (dx, dy), (count, channels, height, width))
                product, weight = g.temp("product"), g.temp("weight")
                g.node("Mul", [weights[0][dx], weights[1][dy]], [weight])
                g.node("Mul", [value, weight], [product])
                parts.append(product)
        total = g.temp("total")
        g.node("Sum", parts, [total])
        self._inside_to_onnx(g, place, total, sizes, tops)

    @staticmethod
    def _weights_to_onnx(g, part):
        """Emit the weights of the two columns and of the two rows."""
        out = []
        for axis in (0, 1):
            far, near = g.temp("far"), g.temp("near")
            g.node("Gather", [part, g.constant([axis], "axis")], [far], axis=1)
            g.node("Sub", [g.constant(np.float32(1), "one"), far], [near])
            out.append((near, far))
        return out

    @staticmethod
    def _corner_to_onnx(g, flat, whole, shift, shape):
        count, channels, height, width = shape
        last = np.array([width - 1, height - 1], np.float32).reshape(1, 2, 1, 1)
        names = ("shifted", "low", "place", "scaled", "index", "number", "wide", "value", "out")
        shifted, low, place, scaled, index, number, wide, value, out = (g.temp(name) for name in names)
        g.node("Add", [whole, g.constant(np.array(shift, np.float32).reshape(1, 2, 1, 1), "shift")], [shifted])
        g.node("Max", [shifted, g.constant(np.float32(0), "zero")], [low])
        g.node("Min", [low, g.constant(last, "last")], [place])
        factors = np.array([1, width], np.float32).reshape(1, 2, 1, 1)
        g.node("Mul", [place, g.constant(factors, "factors")], [scaled])
        g.node("ReduceSum", [scaled], [index], axes=[1], keepdims=1)
        row = g.temp("row")
        g.node("Reshape", [index, g.constant([count, 1, height * width], "row")], [row])
        g.node("Cast", [row], [number], to=7)
        g.node("Expand", [number, g.constant([count, channels, height * width], "wide")], [wide])
        g.node("GatherElements", [flat, wide], [value], axis=2)
        g.node("Reshape", [value, g.constant([count, channels, height, width], "shape")], [out])
        return out

    def _inside_to_onnx(self, g, place, total, sizes, tops):
        names = ("low", "high", "outside", "number", "any", "none")
        low, high, outside, number, either, none = (g.temp(name) for name in names)
        g.node("Less", [place, g.constant(np.float32(0), "zero")], [low])
        below = g.temp("below")
        g.node("Less", [place, g.constant(sizes, "sizes")], [below])
        g.node("Not", [below], [high])
        g.node("Or", [low, high], [outside])
        g.node("Cast", [outside], [number], to=1)
        g.node("ReduceMax", [number], [either], axes=[1], keepdims=1)
        g.node("Greater", [either, g.constant(np.float32(0.5), "half")], [none])
        g.node("Where", [none, g.constant(np.float32(self._fill), "fill"), total], tops)
