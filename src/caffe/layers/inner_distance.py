"""InnerDistance: distances to learned centers."""

from __future__ import annotations

import math
from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class InnerDistance(Layer):
    """Distance of each item, flattened from `axis` on, to each of num_output learned centers (caffe-windows).

    The distance is the sum of squared (L2, default) or absolute (L1) differences.
    """

    examples = (
        Example('inner_distance_param { num_output: 3 weight_filler { type: "gaussian" } }', [(2, 3, 2)]),
        Example(
            'inner_distance_param { num_output: 3 distance_type: "L1" weight_filler { type: "gaussian" } }', [(2, 4)]
        ),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.inner_distance_param
        self.need(p.num_output > 0, "num_output must be positive, received %d", p.num_output)
        self.need(p.distance_type in ("L1", "L2"), "distance_type must be L1 or L2, received '%s'", p.distance_type)
        for name in ("transpose", "normalize", "update_center_only"):
            self.need(not getattr(p, name), "inner_distance_param.%s is not implemented", name)
        self.begin = self.axis(p.axis, bottom)
        self.add_blob((p.num_output, math.prod(bottom[self.begin :])), p.weight_filler)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        return [(*bottom[: self.begin], self.param.inner_distance_param.num_output)]

    def forward(self, x: Tensor) -> Tensor:
        difference = x.flatten(self.begin).unsqueeze(self.begin) - self.blobs[0].tensor
        return (difference.square() if self.param.inner_distance_param.distance_type == "L2" else difference.abs()).sum(
            -1
        )

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape, begin = g.shape(bottoms[0]), self.begin
        rows, difference, size = g.temp("rows"), g.temp("difference"), g.temp("size")
        g.node("Reshape", [bottoms[0], g.constant([*shape[:begin], 1, math.prod(shape[begin:])], "shape")], [rows])
        g.node("Sub", [rows, g.constant(self.blobs[0].data, "centers")], [difference])
        if self.param.inner_distance_param.distance_type == "L2":
            g.node("Mul", [difference, difference], [size])
        else:
            g.node("Abs", [difference], [size])
        g.node("ReduceSum", [size], tops, axes=[begin + 1], keepdims=0)
