"""ChannelScale: all channels times the same map."""

from __future__ import annotations

import math
from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class ChannelScale(Layer):
    """y = x * scale, where the second bottom has one number for each item and position (caffe-windows).

    do_forward: false copies x. do_backward_feature: false copies the gradient of y to x; do_backward_scale: false gives
    the scale no gradient.
    """

    num_bottom = 2
    in_place = False
    examples = (Example("", [(2, 3, 4, 5), (2, 1, 4, 5)]), Example("", [(2, 3), (2, 1)]))

    def setup(self, bottom: Shape, scale: Shape) -> None:
        self.need(not self.param.channel_scale_param.global_scale, "global_scale is not implemented")

    def top_shapes(self, bottom: Shape, scale: Shape) -> list[Shape]:
        self.need(
            len(bottom) >= 2 and scale[0] == bottom[0] and math.prod(scale) * bottom[1] == math.prod(bottom),
            "bottom 1 must have one number for each item and position of %s, received %s",
            bottom,
            scale,
        )
        return [bottom]

    def _map_shape(self, shape):
        return (shape[0], 1, *shape[2:])

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        p = self.param.channel_scale_param
        scale = scale.reshape(self._map_shape(x.shape))
        if p.do_forward and p.do_backward_feature and p.do_backward_scale:
            return x * scale
        value = x.detach() * scale.detach() if p.do_forward else x.detach()
        feature = x * scale.detach() if p.do_backward_feature else x
        gradients = feature - feature.detach()
        if p.do_backward_scale:
            through = x.detach() * scale
            gradients = gradients + through - through.detach()
        return value + gradients

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        if not self.param.channel_scale_param.do_forward:
            g.node("Identity", bottoms[:1], tops)
            return
        scale = g.temp("scale")
        shape = list(self._map_shape(g.shape(bottoms[0])))
        g.node("Reshape", [bottoms[1], g.constant(shape, "shape")], [scale])
        g.node("Mul", [bottoms[0], scale], tops)
