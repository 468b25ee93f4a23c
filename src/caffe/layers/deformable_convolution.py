"""DeformableConvolution: a convolution that reads at learned positions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers._bilinear import sample, sample_to_onnx
from caffe.layers._convolution import window
from caffe.layers._emit import one
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2


@register
class DeformableConvolution(Layer):
    """Convolution over two axes whose points are moved by the second bottom (deformable_conv_layer.cpp).

    The second bottom has, for each of the deformable_group groups of channels and each point of the kernel, the offsets
    (down, right) at every position of the top: N x 2 deformable_group kernel_h kernel_w x top height x top width.
    Values between pixels are bilinear; outside the image they are 0. The other fields are those of Convolution. Dai et
    al. 2017.
    """

    num_bottom = 2
    examples = (
        Example(
            "deformable_convolution_param { num_output: 4 kernel_size: 3 pad: 1 deformable_group: 2 "
            'weight_filler { type: "xavier" } }',
            [(2, 4, 5, 6), (2, 36, 5, 6)],
        ),
        Example(
            "deformable_convolution_param { num_output: 4 kernel_size: 2 group: 2 stride: 2 deformable_group: 1 "
            'bias_term: false weight_filler { type: "xavier" } }',
            [(1, 2, 5, 6), (1, 8, 2, 3)],
        ),
    )

    def setup(self, bottom: Shape, offset: Shape) -> None:
        p = self.p = self.param.deformable_convolution_param
        self.need(len(bottom) == 4 and p.axis in (1, -3), "bottom 0 must be N x C x H x W, received %s", bottom)
        self.need(p.num_output > 0, "num_output must be positive, received %d", p.num_output)
        for name, number in (("group", p.group), ("deformable_group", p.deformable_group)):
            self.need(
                number > 0 and bottom[1] % number == 0,
                "%s must divide the %d channels, received %d",
                name,
                bottom[1],
                number,
            )
        self.need(p.num_output % p.group == 0, "group %d must divide num_output %d", p.group, p.num_output)
        self.window, self.channels = window(_as_convolution(p), 2), bottom[1]
        self.add_blob((p.num_output, bottom[1] // p.group, *self.window.kernel), p.weight_filler)
        if p.bias_term:
            self.add_blob((p.num_output,), p.bias_filler)

    def top_shapes(self, bottom: Shape, offset: Shape) -> list[Shape]:
        self.need(bottom[1] == self.channels, "the weights are for %d channels, bottom is %s", self.channels, bottom)
        sizes = self.window.size_down(bottom[2:])
        expected = (bottom[0], 2 * self.p.deformable_group * math.prod(self.window.kernel), *sizes)
        self.need(offset == expected, "bottom 1, the offsets, must be %s, received %s", expected, offset)
        return [(bottom[0], self.p.num_output, *sizes)]

    def _grid(self, sizes):
        """Return the positions (row, column) without offsets, 2 x kernel points * top height * top width."""
        win, lines = self.window, []
        for axis in (0, 1):
            start = np.arange(sizes[axis]) * win.stride[axis] - win.pad[axis]
            lines.append(np.arange(win.kernel[axis])[:, None] * win.dilation[axis] + start)
        rows, columns = lines
        shape = (*win.kernel, *sizes)
        pair = np.broadcast_to(rows[:, None, :, None], shape), np.broadcast_to(columns[None, :, None, :], shape)
        return np.stack(pair).reshape(2, -1).astype(np.float32)

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        count, groups, points = x.shape[0], self.p.deformable_group, math.prod(self.window.kernel)
        sizes = offset.shape[2:]
        moved = offset.reshape(count * groups, points, 2, -1).transpose(1, 2).flatten(2)
        row, column = (moved + torch.from_numpy(self._grid(sizes)).to(x)).unbind(1)
        values = sample(x.reshape(count * groups, -1, *x.shape[2:]), row, column)
        values = values.reshape(count, self.p.group, -1, math.prod(sizes))
        y = self.blobs[0].tensor.reshape(self.p.group, self.p.num_output // self.p.group, -1) @ values
        y = y.reshape(count, self.p.num_output, *sizes)
        return y + self.blobs[1].tensor[:, None, None] if self.p.bias_term else y

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p, (count, channels, *image) = self.p, g.shape(bottoms[0])
        sizes = g.shape(tops[0])[2:]
        points, positions, groups = math.prod(self.window.kernel), math.prod(sizes), p.deformable_group

        def reshaped(name, *shape):
            return one(g, "Reshape", [name, g.constant(list(shape), "shape")], "reshaped")

        apart = reshaped(bottoms[1], count * groups, points, 2, positions)
        pairs = one(g, "Transpose", [one(g, "Gather", [apart, g.constant([1, 0], "order")], "pairs", axis=2)], "pairs",
                    perm=[0, 2, 1, 3])  # fmt: skip
        moved = reshaped(pairs, count * groups, 2, points * positions)
        places = one(g, "Add", [moved, g.constant(self._grid(sizes)[None, ::-1].copy(), "grid")], "places")
        shape = (count * groups, channels // groups, *image)
        sampled = sample_to_onnx(g, reshaped(bottoms[0], *shape), shape, places, points * positions)
        values = reshaped(sampled, count, p.group, channels // p.group * points, positions)
        weight = np.asarray(self.blobs[0].data).reshape(1, p.group, p.num_output // p.group, -1)
        product = one(g, "MatMul", [g.constant(weight, "weight"), values], "product")
        if p.bias_term:
            bias = np.asarray(self.blobs[1].data).reshape(1, p.group, -1, 1)
            product = one(g, "Add", [product, g.constant(bias, "bias")], "sum")
        g.node("Reshape", [product, g.constant([count, p.num_output, *sizes], "shape")], tops)


def _as_convolution(p):
    """Return a ConvolutionParameter with the window of `p`."""
    out = caffe_pb2.ConvolutionParameter()
    for name in ("kernel_size", "stride", "pad", "dilation"):
        getattr(out, name).extend(getattr(p, name))
    for name in (f"{stem}_{side}" for stem in ("kernel", "stride", "pad") for side in "hw"):
        if p.HasField(name):
            setattr(out, name, getattr(p, name))
    return out
