"""FlowWarp: an image moved by a flow field."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers._bilinear import sample, sample_to_onnx
from caffe.layers._emit import one
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
        width = x.shape[3]
        grid = torch.arange(x[0, 0].numel(), device=x.device)
        column, row = (flow.flatten(2) + torch.stack([grid % width, grid // width]).to(x.dtype)).unbind(1)
        return sample(x, row, column, self._fill).view_as(x)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = g.shape(bottoms[0])
        count, _, height, width = shape
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height))).reshape(1, 2, -1).astype(np.float32)
        flow = one(g, "Reshape", [bottoms[1], g.constant([count, 2, height * width], "positions")], "flow")
        places = one(g, "Add", [flow, g.constant(grid, "grid")], "places")
        sampled = sample_to_onnx(g, bottoms[0], shape, places, height * width, self._fill)
        g.node("Reshape", [sampled, g.constant(list(shape), "shape")], tops)
