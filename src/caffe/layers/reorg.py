"""Reorg: darknet's exchange of pixels and channels."""

from __future__ import annotations

from caffe.layers._rearrangement import RearrangementLayer
from caffe.layers.base import Example, Shape, register


@register
class Reorg(RearrangementLayer):
    """Exchanges pixels and channels in darknet's order: C x H x W to C s^2 x H/s x W/s (s = stride).

    With `reverse`, C x H x W becomes C / s^2 x H s x W s. The order is that of darknet's code: the memory of the bottom
    is read as C / s^2 planes of H s x W s, whose pixels are distributed to the channels by their position in blocks of
    s x s; the memory of the result is read as the top (Redmon & Farhadi 2017).
    """

    in_place = False
    examples = (
        Example("reorg_param { stride: 2 }", [(2, 4, 4, 6)]),
        Example("reorg_param { stride: 2 reverse: true }", [(1, 8, 2, 3)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.reorg_param
        self.need(p.stride > 0, "stride must be positive, received %d", p.stride)
        square = p.stride * p.stride
        self.need(
            bottom[1] % square == 0, "the channels must be a multiple of stride^2 = %d, received %s", square, bottom
        )

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        s, reverse = self.param.reorg_param.stride, self.param.reorg_param.reverse
        count, channels, height, width = bottom
        if reverse:
            return [(count, channels // s**2, height * s, width * s)]
        self.need(
            height % s == 0 and width % s == 0, "stride %d must divide height and width of the bottom %s", s, bottom
        )
        return [(count, channels * s**2, height // s, width // s)]

    def steps(self, shape: Shape) -> tuple[Shape, Shape]:
        """Return the shape as which the bottom is read, and the order of its axes in the top."""
        s = self.param.reorg_param.stride
        count, channels, height, width = shape
        few = channels // s**2
        if self.param.reorg_param.reverse:  # the channels of the bottom are (row, column, plane)
            return (count, s, s, few, height, width), (0, 3, 4, 1, 5, 2)
        return (count, few, height, s, width, s), (0, 3, 5, 1, 2, 4)
