"""Interp: bilinear resizing with aligned corners."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import F
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Interp(Layer):
    """Bilinear resizing with aligned corners (DeepLab, PSPNet).

    The size is reduced to (n - 1) / shrink_factor + 1 and then enlarged to n + (n - 1) * (zoom_factor - 1), or it is
    `height` x `width`, or that of a second bottom. pad_beg and pad_end must not be positive; they crop the bottom
    first.
    """

    num_bottom = (1, 2)
    no_gradient = (1,)
    examples = (
        Example("interp_param { height: 7 width: 9 }", [(2, 3, 4, 5)]),
        Example("interp_param { zoom_factor: 2 }", [(2, 3, 4, 5)]),
        Example("interp_param { shrink_factor: 2 }", [(2, 3, 7, 8)]),
        Example("interp_param { height: 6 width: 6 pad_beg: -1 pad_end: -2 }", [(1, 2, 6, 7)]),
        Example("", [(1, 2, 3, 4), (1, 5, 6, 7)]),
    )

    def setup(self, bottom: Shape, like: Shape | None = None) -> None:
        p = self.param.interp_param
        self.need(p.pad_beg <= 0 and p.pad_end <= 0, "pad_beg and pad_end must not be positive, since they crop")
        self.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)

    def top_shapes(self, bottom: Shape, like: Shape | None = None) -> list[Shape]:
        sizes = [n + self.param.interp_param.pad_beg + self.param.interp_param.pad_end for n in bottom[2:]]
        self.need(like is None or len(like) == 4, "the second bottom must have 4 axes, received %s", like)
        out = tuple(self._size(sizes) if like is None else like[2:])
        self.need(min(*sizes, *out) > 0, "the sizes must be positive: bottom %s, top %s", sizes, out)
        return [(*bottom[:2], *out)]

    def _size(self, sizes):
        p = self.param.interp_param
        shrink, zoom = p.HasField("shrink_factor"), p.HasField("zoom_factor")
        if not (shrink ^ zoom) and p.HasField("height") and p.HasField("width"):
            return p.height, p.width
        self.need(shrink or zoom, "expected height and width, zoom_factor or shrink_factor, or a second bottom")
        self.need(p.shrink_factor > 0 and p.zoom_factor > 0, "factors must be positive")
        sizes = [(n - 1) // p.shrink_factor + 1 for n in sizes] if shrink else sizes
        return [n + (n - 1) * (p.zoom_factor - 1) for n in sizes] if zoom else sizes

    def _crop(self, shape):
        p = self.param.interp_param
        return [(-p.pad_beg, n + p.pad_end) for n in shape[2:]]

    def forward(self, x: Tensor, like: Tensor | None = None) -> Tensor:
        size = self.top_shapes(tuple(x.shape), None if like is None else tuple(like.shape))[0][2:]
        (top, bottom), (left, right) = self._crop(x.shape)
        x = x[:, :, top:bottom, left:right]
        return F.interpolate(x, size, mode="bilinear", align_corners=True)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = tuple(g.shape(bottoms[0]))
        like = tuple(g.shape(bottoms[1])) if len(bottoms) > 1 else None
        out, source, ends = self.top_shapes(shape, like)[0], bottoms[0], self._crop(shape)
        if ends != [(0, n) for n in shape[2:]]:
            source = g.temp("cropped")
            starts, stops = zip(*ends)
            names = [
                g.constant(list(values), name)
                for values, name in ((starts, "starts"), (stops, "ends"), ((2, 3), "axes"))
            ]
            g.node("Slice", [bottoms[0], *names], [source])
        resize_to_onnx(g, source, tops[0], out, mode="linear", coordinate_transformation_mode="align_corners")


def resize_to_onnx(g, source, top, out, **attributes):
    """Emit a Resize to the shape `out`."""
    empty = g.constant(np.zeros(0, np.float32), "none")
    g.node("Resize", [source, empty, empty, g.constant(list(out), "sizes")], [top], **attributes)
