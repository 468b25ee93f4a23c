"""ShuffleChannel."""

from __future__ import annotations

from caffe.layers._rearrangement import RearrangementLayer
from caffe.layers.base import Example, Shape, register


@register
class ShuffleChannel(RearrangementLayer):
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

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        return [bottom]

    def steps(self, shape: Shape) -> tuple[Shape, Shape]:
        """Return the shape as which the bottom is read, and the order of its axes in the top."""
        group = self.param.shuffle_channel_param.group
        return (shape[0], group, shape[1] // group, *shape[2:]), (0, 2, 1, *range(3, len(shape) + 1))
