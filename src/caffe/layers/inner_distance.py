"""InnerDistance: distances to learned centers."""

from __future__ import annotations

import math
from typing import Any

from caffe.layers._unit_rows import unit_rows, unit_rows_of
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class InnerDistance(Layer):
    """Distance of each item, flattened from `axis` on, to each of num_output learned centers (caffe-windows).

    The distance is the sum of squared (L2, default) or absolute (L1) differences. A second bottom (N x inputs), if any,
    has the centers. With normalize, each of the layer's own centers is divided by sqrt(sum of squares + 1e-6): in TRAIN
    the blob itself, before each forward.
    """

    num_bottom = (1, 2)

    examples = (
        Example('inner_distance_param { num_output: 3 weight_filler { type: "gaussian" } }', [(2, 3, 2)]),
        Example(
            'inner_distance_param { num_output: 3 distance_type: "L1" weight_filler { type: "gaussian" } }', [(2, 4)]
        ),
    )

    def setup(self, bottom: Shape, centers: Shape | None = None) -> None:
        p = self.param.inner_distance_param
        self.need(centers or p.num_output > 0, "num_output must be positive, received %d", p.num_output)
        self.need(p.distance_type in ("L1", "L2"), "distance_type must be L1 or L2, received '%s'", p.distance_type)
        for name in ("transpose", "update_center_only"):
            self.need(not getattr(p, name), "inner_distance_param.%s is not implemented", name)
        self.begin = self.axis(p.axis, bottom)
        self.inputs = math.prod(bottom[self.begin :])
        if centers is None:
            self.add_blob((p.num_output, self.inputs), p.weight_filler)

    def top_shapes(self, bottom: Shape, centers: Shape | None = None) -> list[Shape]:
        self.need(
            centers is None or math.prod(centers[1:]) == self.inputs,
            "bottom 1, the centers, must have rows of %d numbers, received %s",
            self.inputs,
            centers,
        )
        return [(*bottom[: self.begin], centers[0] if centers else self.param.inner_distance_param.num_output)]

    def forward(self, x: Tensor, centers: Tensor | None = None) -> Tensor:
        if centers is None:
            centers = self.blobs[0].tensor
            if self.param.inner_distance_param.normalize:
                centers = unit_rows(centers, self.phase)
        difference = x.flatten(self.begin).unsqueeze(self.begin) - centers.flatten(1)
        return (difference.square() if self.param.inner_distance_param.distance_type == "L2" else difference.abs()).sum(
            -1
        )

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape, begin, p = g.shape(bottoms[0]), self.begin, self.param.inner_distance_param
        if len(bottoms) > 1:
            centers = g.temp("centers")
            g.node("Reshape", [bottoms[1], g.constant([-1, self.inputs], "rows")], [centers])
        else:
            array = self.blobs[0].data
            centers = g.constant(unit_rows_of(array) if p.normalize else array, "centers")
        rows, difference, size = g.temp("rows"), g.temp("difference"), g.temp("size")
        g.node("Reshape", [bottoms[0], g.constant([*shape[:begin], 1, math.prod(shape[begin:])], "shape")], [rows])
        g.node("Sub", [rows, centers], [difference])
        if p.distance_type == "L2":
            g.node("Mul", [difference, difference], [size])
        else:
            g.node("Abs", [difference], [size])
        g.node("ReduceSum", [size], tops, axes=[begin + 1], keepdims=0)
