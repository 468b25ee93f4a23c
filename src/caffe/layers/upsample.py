"""Upsample: SegNet's unpooling by a mask, or nearest-neighbor upsampling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.layers.interp import resize_to_onnx


@register
class Upsample(Layer):
    """Unpooling by a mask (SegNet, two bottoms) or nearest-neighbor upsampling (MobileNet-YOLO, one bottom).

    With two bottoms, each value is written to the position given by the second bottom, Pooling's mask (y * width + x);
    all other values are 0. The size is upsample_h x upsample_w, or `scale` (scale_h, scale_w) times that of the bottom,
    less 1 with pad_out_h or pad_out_w. With one bottom, every pixel is repeated `scale` x `scale` times (default 1).
    """

    num_bottom = (1, 2)
    no_gradient = (1,)
    examples = (
        Example("upsample_param { scale: 2 }", [(2, 3, 3, 4)]),
        Example("upsample_param { scale: 2 }", [(2, 3, 1, 1)] * 2, values=("normal", 4)),
        Example("upsample_param { upsample_h: 3 upsample_w: 4 }", [(2, 3, 1, 1)] * 2, values=("normal", 12)),
    )

    @property
    def stick_form(self) -> bool:
        """Whether there is a mask."""
        return len(self.param.bottom) == 2

    def top_shapes(self, bottom: Shape, mask: Shape | None = None) -> list[Shape]:
        p = self.param.upsample_param
        if mask is None:
            scale = p.scale if p.HasField("scale") else 1
            self.need(scale > 0, "scale must be positive, received %d", scale)
            return [(*bottom[:-2], bottom[-2] * scale, bottom[-1] * scale)]
        self.need(
            bottom == mask and len(bottom) == 4,
            "bottom and mask must have the same shape with 4 axes, received %s and %s",
            bottom,
            mask,
        )
        if p.HasField("upsample_h") and p.HasField("upsample_w"):
            return [(*bottom[:2], p.upsample_h, p.upsample_w)]
        scales = (p.scale_h, p.scale_w) if p.HasField("scale_h") else (p.scale, p.scale)
        height, width = (n * s for n, s in zip(bottom[2:], scales))
        return [(*bottom[:2], height - p.pad_out_h, width - p.pad_out_w)]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        shape = self.top_shapes(tuple(x.shape), None if mask is None else tuple(mask.shape))[0]
        if mask is None:
            rows, columns = shape[-2] // x.shape[-2], shape[-1] // x.shape[-1]
            return x.repeat_interleave(rows, -2).repeat_interleave(columns, -1)
        positions = mask.detach().long().flatten(2)
        plane = math.prod(shape[2:])
        self.need(
            not positions.numel() or int(positions.max()) < plane,
            "the mask has index %d, but the top has %d pixels: the scale does not match the Pooling layer",
            int(positions.max()) if positions.numel() else 0,
            plane,
        )
        return (
            torch.zeros(*shape[:2], plane, dtype=x.dtype, device=x.device)
            .scatter(2, positions, x.flatten(2))
            .view(shape)
        )

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
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
        if g.stick:
            self._unpool_for_stick(g, bottoms, tops, out)
            return
        planes, plane = list(out[:2]), math.prod(out[2:])
        values, whole, positions, zeros, scattered = (
            g.temp(n) for n in ("values", "whole", "positions", "zeros", "scattered")
        )
        flat = g.constant([*planes, -1], "flat")
        g.node("Reshape", [bottoms[0], flat], [values])
        g.node("Reshape", [bottoms[1], flat], [whole])
        g.node("Cast", [whole], [positions], to=7)
        g.node("Expand", [g.constant(0.0, "zero"), g.constant([*planes, plane], "size")], [zeros])
        g.node("ScatterElements", [zeros, positions, values], [scattered], axis=2)
        g.node("Reshape", [scattered, g.constant(list(out), "shape")], tops)

    def _unpool_for_stick(self, g, bottoms, tops, out):
        """Emit the unpooling of a 2 x 2 MAX pooling with convolutions: the stick's compiler has no scatter."""
        places = g.notes.get(bottoms[1])
        self.need(
            places is not None,
            "the stick's compiler supports unpooling only by the mask of a MAX pooling with kernel 2 and stride 2; end "
            "the net before this layer with -on LAYER",
        )
        channels, parts = out[1], []
        for number, place in enumerate(places):
            value, spread = g.temp("value"), g.temp("spread")
            g.node("Mul", [bottoms[0], place], [value])
            kernel = np.zeros((channels, 1, 2, 2), np.float32)
            kernel[:, 0, number // 2, number % 2] = 1
            constant = g.constant(kernel, "place")
            g.node("ConvTranspose", [value, constant], [spread], group=channels, strides=[2, 2], kernel_shape=[2, 2])
            parts.append(spread)
        total = g.temp("total")
        g.node("Sum", parts, [total])
        ends = [
            g.constant(list(values), name) for values, name in (((0, 0), "starts"), (out[2:], "ends"), ((2, 3), "axes"))
        ]
        g.node("Slice", [total, *ends], tops)
