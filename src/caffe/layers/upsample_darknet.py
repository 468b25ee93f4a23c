"""UpsampleDarknet."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.layers.interp import resize_to_onnx


@register
class UpsampleDarknet(Layer):
    """Repeats every pixel `stride` x `stride` times (Synopsys)."""

    examples = (Example("upsample_darknet_param { stride: 2 }", [(2, 3, 3, 4)]),)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        stride = self.param.upsample_darknet_param.stride
        self.need(stride > 0, "stride must be positive, received %d", stride)
        return [(*bottom[:-2], bottom[-2] * stride, bottom[-1] * stride)]

    def forward(self, x: Tensor) -> Tensor:
        stride = self.param.upsample_darknet_param.stride
        return x.repeat_interleave(stride, -2).repeat_interleave(stride, -1)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        out = self.top_shapes(tuple(g.shape(bottoms[0])))[0]
        modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        resize_to_onnx(g, bottoms[0], tops[0], out, **modes)
