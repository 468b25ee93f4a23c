"""Correlation: products of patches of two images at all displacements."""

from __future__ import annotations

import math

from caffe.core.lazy_torch import F, torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2

_SUBTRACT = caffe_pb2.CorrelationParameter.SUBTRACT


@register
class Correlation(Layer):
    """One channel per displacement: the mean of the products of two patches (FlowNet).

    The bottoms are padded by `pad` on all sides. Positions are stride_1 apart, displacements stride_2 apart up to
    max_displacement in each direction; patches are kernel_size x kernel_size over all channels. correlation_type
    SUBTRACT takes |a - b| instead of a * b. It cannot be exported to ONNX: neither OpenVINO nor the stick has it
    (Dosovitskiy et al. 2015).
    """

    num_bottom = 2
    at_inference = True
    no_onnx = "ONNX, OpenVINO and the stick have no such operator; end the net before this layer with -on LAYER"
    examples = (
        Example(
            "correlation_param { pad: 2 kernel_size: 1 max_displacement: 2 stride_1: 1 stride_2: 1 }",
            [(1, 3, 5, 6)] * 2,
        ),
    )

    def setup(self, first: Shape, second: Shape) -> None:
        p = self.param.correlation_param
        self.need(len(first) == 4, "the bottoms must have 4 axes, received %s", first)
        self.need(p.kernel_size % 2 == 1, "kernel_size must be odd, received %d", p.kernel_size)
        self.need(min(p.stride_1, p.stride_2) > 0, "stride_1 and stride_2 must be positive")
        self.need(p.single_direction in (-1, 0, 1), "single_direction must be -1, 0 or 1")
        self.need(not p.do_abs, "correlation_param.do_abs is not implemented")
        steps, side = p.max_displacement // p.stride_2, p.single_direction if self.one_dimension else 0
        start = {-1: -steps - 1, 0: -steps, 1: 0}[side]
        along = [step * p.stride_2 for step in range(start, start + steps + 1 + (0 if side else steps))]
        self.moves = [(dy, dx) for dy in ([0] if self.one_dimension else along) for dx in along]

    @property
    def one_dimension(self) -> bool:
        """Whether displacements are horizontal only."""
        return self.type == "Correlation1D"

    def top_shapes(self, first: Shape, second: Shape) -> list[Shape]:
        p = self.param.correlation_param
        self.need(second == first, "bottoms must have the same shape, received %s and %s", first, second)
        radius = (p.kernel_size - 1) // 2
        borders = (radius if self.one_dimension else p.max_displacement + radius, p.max_displacement + radius)
        pads = (0 if self.one_dimension else p.pad, p.pad)
        sizes = [math.ceil((n + 2 * pad - 2 * b) / p.stride_1) for n, pad, b in zip(first[2:], pads, borders)]
        self.need(min(sizes) > 0, "kernel_size and max_displacement do not fit into the padded bottom %s", first)
        return [(first[0], len(self.moves), *sizes)]

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        p = self.param.correlation_param
        _, _, height, width = self.top_shapes(tuple(a.shape), tuple(b.shape))[0]
        pad_y = 0 if self.one_dimension else p.pad
        beyond = max(0, -min(dx for _, dx in self.moves) - p.max_displacement)  # zeros left of the padding
        a, b = (F.pad(x, (p.pad + beyond, p.pad, pad_y, pad_y)) for x in (a, b))
        top, left = (0 if self.one_dimension else p.max_displacement), p.max_displacement + beyond
        rows, columns = (height - 1) * p.stride_1 + p.kernel_size, (width - 1) * p.stride_1 + p.kernel_size
        own = a[:, :, top : top + rows, left : left + columns]
        planes = []
        for dy, dx in self.moves:
            other = b[:, :, top + dy : top + dy + rows, left + dx : left + dx + columns]
            each = (own - other).abs() if p.correlation_type == _SUBTRACT else own * other
            planes.append(F.avg_pool2d(each.mean(1, keepdim=True), p.kernel_size, p.stride_1))
        return torch.cat(planes, dim=1)
