"""SPP: spatial pyramid pooling."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.layers.pooling import Pooling
from caffe.proto import caffe_pb2


@register
class SPP(Layer):
    """Pools into 1, 2 x 2, 4 x 4 ... bins and concatenates the flattened results (He et al. 2014; spp_layer.cpp).

    There are pyramid_height levels. Kernel and stride of a level are the image size divided by the number of bins,
    rounded up; the excess is padding, half of it before the image. With one level, the top keeps the 4 axes.
    """

    examples = (
        Example("spp_param { pyramid_height: 3 }", [(2, 3, 12, 9)]),
        Example("spp_param { pyramid_height: 2 pool: AVE }", [(2, 3, 7, 5)]),
        Example("spp_param { pyramid_height: 1 }", [(2, 3, 7, 5)]),
    )

    def levels(self, bottom: Shape) -> list[Pooling]:
        """Return the Pooling layers of the pyramid for a bottom of this shape."""
        self.need(
            len(bottom) == 4,
            "the bottom must have 4 axes (num, channels, height, width), received %s",
            bottom,
        )
        self.need(self.param.spp_param.pyramid_height >= 1, "pyramid_height must be 1 or more")
        return [self._level(2**k, bottom) for k in range(self.param.spp_param.pyramid_height)]

    def _level(self, bins, bottom):
        height, width = (-(-n // bins) for n in bottom[2:])
        pad_h, pad_w = ((k * bins - n + 1) // 2 for k, n in zip((height, width), bottom[2:]))
        param = caffe_pb2.LayerParameter(name=self.name, type="Pooling", top=["pooled"])
        param.pooling_param.pool = self.param.spp_param.pool
        for field, value in (
            ("kernel_h", height),
            ("kernel_w", width),
            ("stride_h", height),
            ("stride_w", width),
            ("pad_h", pad_h),
            ("pad_w", pad_w),
        ):
            setattr(param.pooling_param, field, value)
        level = Pooling(param, self.phase, self.device, self.generator)
        level.setup(bottom)
        return level

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        shapes = [level.top_shapes(bottom)[0] for level in self.levels(bottom)]
        if len(shapes) == 1:
            return shapes
        return [(bottom[0], sum(channels * height * width for _, channels, height, width in shapes))]

    def forward(self, x: Tensor) -> Tensor:
        pooled: list[Tensor] = [level.forward(x) for level in self.levels(tuple(x.shape))]
        return pooled[0] if len(pooled) == 1 else torch.cat([p.flatten(1) for p in pooled], 1)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        levels = self.levels(tuple(g.shape(bottoms[0])))
        if len(levels) == 1:
            levels[0].to_onnx(g, bottoms, tops)
            return
        flat = []
        for level in levels:
            pooled = g.temp("pooled")
            flat.append(g.temp("flat"))
            level.to_onnx(g, bottoms, [pooled])
            g.node("Flatten", [pooled], [flat[-1]], axis=1)
        g.node("Concat", flat, tops, axis=1)
