"""Pooling over three axes, with Caffe's rounding of the number of windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import F, torch
from caffe.layers._pooling_axis import Axis
from caffe.layers.base import Shape, Tensor
from caffe.proto import caffe_pb2

MAX, AVE = (caffe_pb2.PoolingParameter.PoolMethod.Value(name) for name in ("MAX", "AVE"))


def windows_of(layer: Any, bottom: Shape) -> list[Axis]:
    """Return the windows of a Pooling layer along the last three axes of `bottom`."""
    p = layer.param.pooling_param
    layer.need(layer.method in (MAX, AVE), "pooling over three axes is MAX or AVE")
    layer.need(len(layer.param.top) == 1, "pooling over three axes has one top")
    kernel = list(bottom[2:]) if p.global_pooling else _three(layer, p, "kernel_size", None)
    stride = [1] * 3 if p.global_pooling else _three(layer, p, "stride", 1)
    pad = [0] * 3 if p.global_pooling else _three(layer, p, "pad", 0)
    return [_axis(layer, *values, any(pad)) for values in zip(bottom[2:], kernel, stride, pad)]


def _three(layer: Any, p: Any, name: str, default: int | None) -> list[int]:
    values = list(getattr(p, name + "_3d")) or ([getattr(p, name)] if p.HasField(name) else [])
    values = values or ([] if default is None else [default])
    layer.need(len(values) in (1, 3), "expected one or three values of %s, received %s", name, values)
    values = values * 3 if len(values) == 1 else values
    layer.need(name == "pad" or min(values) > 0, "%s must be positive, received %s", name, values)
    return values


def _axis(layer: Any, size: int, kernel: int, stride: int, pad: int, padded: bool) -> Axis:
    layer.need(pad < kernel or not pad, "pad must be less than the kernel: pad %d, kernel %d", pad, kernel)
    room = size + 2 * pad - kernel
    out = (room // stride if layer.floor else -(-room // stride)) + 1
    if (padded or kernel == 1) and (out - 1) * stride >= size + pad:
        out -= 1
    layer.need(out >= 1, "a kernel of %d does not fit into %d values with pad %d", kernel, size, pad)
    return Axis(size, kernel, stride, pad, out, pad)


def forward(layer: Any, x: Tensor, axes: list[Axis]) -> Tensor:
    """Return the maximum or mean of each window."""
    sides = [side for a in reversed(axes) for side in (a.pad, a.overhang)]
    kernel, stride = [a.kernel for a in axes], [a.stride for a in axes]
    if layer.method == MAX:
        return F.max_pool3d(F.pad(x, sides, value=-float("inf")), kernel, stride)
    total = F.avg_pool3d(F.pad(x, sides), kernel, stride, divisor_override=1)
    return total / torch.from_numpy(_counts(layer, axes)).to(total)


def _counts(layer: Any, axes: list[Axis]) -> np.ndarray:
    depth, height, width = (a.inside if layer.excludes_padding else a.lengths for a in axes)
    return (depth[:, None, None] * height[:, None] * width).astype(np.float32)


def to_onnx(layer: Any, g: Any, bottoms: list[str], tops: list[str], axes: list[Axis]) -> None:
    """Emit the pooling with explicit padding at the ends."""
    attributes = {
        "kernel_shape": [a.kernel for a in axes],
        "strides": [a.stride for a in axes],
        "pads": [a.pad for a in axes] + [a.overhang for a in axes],
    }
    if layer.method == MAX:
        g.node("MaxPool", bottoms, tops, **attributes)
        return
    correction = math.prod(a.kernel for a in axes) / _counts(layer, axes)
    out = tops[0] if (correction == 1).all() else g.temp("by_kernel")
    g.node("AveragePool", bottoms, [out], count_include_pad=1, **attributes)
    if out != tops[0]:
        g.node("Mul", [out, g.constant(correction.astype(np.float32)[None, None], "divisor")], tops)
