"""ShuffleChannel."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class ShuffleChannel(Layer):
    """Interleaves the channels of `group` groups: the first of each group, then the second of each (ShuffleNet).

    Source: Zhang et al. 2017, "ShuffleNet".
    """

    examples = (Example("shuffle_channel_param { group: 3 }", [(2, 6, 4, 5)]),)

    def setup(self, bottom: Shape) -> None:
        group = self.param.shuffle_channel_param.group
        self.need(
            group > 0 and bottom[1] % group == 0,
            "group %d must divide the number of channels, received %s",
            group,
            bottom,
        )

    def _split(self, shape):
        group = self.param.shuffle_channel_param.group
        return (shape[0], group, shape[1] // group, *shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(self._split(x.shape)).transpose(1, 2).reshape(x.shape)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = tuple(g.shape(bottoms[0]))
        split, permuted = g.temp("split"), g.temp("permuted")
        g.node("Reshape", [bottoms[0], g.constant(list(self._split(shape)), "split")], [split])
        g.node("Transpose", [split], [permuted], perm=[0, 2, 1, *range(3, len(shape) + 1)])
        g.node("Reshape", [permuted, g.constant(list(shape), "shape")], tops)
