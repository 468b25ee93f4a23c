"""GSTiling: blocks of pixels become channels, or channels become blocks."""

from __future__ import annotations

from caffe.layers._rearrangement import RearrangementLayer
from caffe.layers.base import Example, Shape, register


@register
class GSTiling(RearrangementLayer):
    """Moves blocks of stride x stride pixels to channels or, with `reverse`, channels to blocks (Xilinx).

    The position in the block is the outer part of the channel axis.
    """

    in_place = False
    examples = (
        Example("gs_tiling_param { stride: 2 }", [(1, 3, 4, 6)]),
        Example("gs_tiling_param { stride: 2 reverse: true }", [(1, 8, 3, 2)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.gs_tiling_param
        self.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)
        self.need(p.stride > 0, "stride must be positive, received %d", p.stride)
        fits = bottom[1] % p.stride**2 == 0 if p.reverse else bottom[2] % p.stride == bottom[3] % p.stride == 0
        self.need(fits, "stride %d does not fit the bottom %s", p.stride, bottom)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        p = self.param.gs_tiling_param
        count, channels, height, width = bottom
        if p.reverse:
            return [(count, channels // p.stride**2, height * p.stride, width * p.stride)]
        return [(count, channels * p.stride**2, height // p.stride, width // p.stride)]

    def steps(self, shape: Shape) -> tuple[Shape, Shape]:
        """Return the shape as which the bottom is read, and the order of its axes in the top."""
        p, (count, channels, height, width) = self.param.gs_tiling_param, shape
        if p.reverse:
            return (count, p.stride, p.stride, channels // p.stride**2, height, width), (0, 3, 4, 1, 5, 2)
        return (count, channels, height // p.stride, p.stride, width // p.stride, p.stride), (0, 3, 5, 1, 2, 4)
