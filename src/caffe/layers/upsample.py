"""Upsample: SegNet's unpooling by a mask, or larger pixels."""

import math

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register
from caffe.layers.interp import resize_to_onnx


@register
class Upsample(Layer):
    """With two bottoms (SegNet): each value goes to the place that the second bottom, Pooling's mask (y * width + x), names,
    all others are 0. The plane is upsample_h x upsample_w, or `scale` (scale_h, scale_w) times as large, less one with
    pad_out_h or pad_out_w. With one bottom (MobileNet-YOLO): every pixel becomes `scale` x `scale` (default 1) of it.
    """

    num_bottom = (1, 2)
    no_gradient = (1,)
    examples = (
        Example("upsample_param { scale: 2 }", [(2, 3, 3, 4)]),
        Example("upsample_param { scale: 2 }", [(2, 3, 1, 1)] * 2, values=("normal", 4)),
        Example("upsample_param { upsample_h: 3 upsample_w: 4 }", [(2, 3, 1, 1)] * 2, values=("normal", 12)),
    )

    def top_shapes(self, bottom, mask=None):
        p = self.param.upsample_param
        if mask is None:
            scale = p.scale if p.HasField("scale") else 1
            self.need(scale > 0, "scale must be positive, received %d", scale)
            return [(*bottom[:-2], bottom[-2] * scale, bottom[-1] * scale)]
        self.need(
            bottom == mask and len(bottom) == 4, "bottom and mask must have one shape of 4 axes: %s, %s", bottom, mask
        )
        if p.HasField("upsample_h") and p.HasField("upsample_w"):
            return [(*bottom[:2], p.upsample_h, p.upsample_w)]
        scales = (p.scale_h, p.scale_w) if p.HasField("scale_h") else (p.scale, p.scale)
        height, width = (n * s for n, s in zip(bottom[2:], scales))
        return [(*bottom[:2], height - p.pad_out_h, width - p.pad_out_w)]

    def forward(self, x, mask=None):
        shape = self.top_shapes(tuple(x.shape), None if mask is None else tuple(mask.shape))[0]
        if mask is None:
            rows, columns = shape[-2] // x.shape[-2], shape[-1] // x.shape[-1]
            return x.repeat_interleave(rows, -2).repeat_interleave(columns, -1)
        places = mask.detach().long().flatten(2)
        plane = math.prod(shape[2:])
        self.need(
            not places.numel() or int(places.max()) < plane,
            "the mask names place %d of a plane of %d: the scale does not fit its Pooling",
            int(places.max()) if places.numel() else 0,
            plane,
        )
        return (
            torch.zeros(*shape[:2], plane, dtype=x.dtype, device=x.device).scatter(2, places, x.flatten(2)).view(shape)
        )

    def to_onnx(self, g, bottoms, tops):
        shapes = [tuple(g.shape(bottom)) for bottom in bottoms]
        out = self.top_shapes(*shapes)[0]
        if len(bottoms) == 1:
            resize_to_onnx(
                g,
                bottoms[0],
                tops[0],
                out,
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
            return
        planes, plane = list(out[:2]), math.prod(out[2:])
        values, whole, places, zeros, scattered = (
            g.temp(n) for n in ("values", "whole", "places", "zeros", "scattered")
        )
        flat = g.constant([*planes, -1], "flat")
        g.node("Reshape", [bottoms[0], flat], [values])
        g.node("Reshape", [bottoms[1], flat], [whole])
        g.node("Cast", [whole], [places], to=7)
        g.node("Expand", [g.constant(0.0, "zero"), g.constant([*planes, plane], "size")], [zeros])
        g.node("ScatterElements", [zeros, places, values], [scattered], axis=2)
        g.node("Reshape", [scattered, g.constant(list(out), "shape")], tops)
