"""Sliding windows described by ConvolutionParameter, shared by Convolution, Deconvolution and Im2col."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caffe.core.lazy_torch import F, torch
from caffe.errors import CaffeError

if TYPE_CHECKING:
    from caffe.layers.base import Layer as _Base
    from caffe.layers.base import Shape, Tensor
else:
    _Base = object


@dataclasses.dataclass(frozen=True)
class Window:
    """Kernel, stride, pad and dilation, each with one int per spatial axis; `end` is the end padding if it differs."""

    kernel: tuple
    stride: tuple
    pad: tuple
    dilation: tuple
    end: tuple | None = None

    @property
    def pad_end(self) -> Shape:
        """The padding after each axis."""
        return self.pad if self.end is None else self.end

    @property
    def pads(self) -> Shape:
        """The total padding of each axis."""
        return tuple(begin + end for begin, end in zip(self.pad, self.pad_end))

    @property
    def extent(self) -> Shape:
        """The size of the dilated kernel along each axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation))

    def size_down(self, sizes: Sequence[int]) -> Shape:
        """Return the sizes after a convolution: (size + pads - extent) / stride + 1, rounded towards zero as in C."""
        room = (n + p - e for n, p, e in zip(sizes, self.pads, self.extent))
        out = tuple(int(math.copysign(abs(r) // s, r)) + 1 for r, s in zip(room, self.stride))
        return self._positive(out, sizes)

    def size_up(self, sizes: Sequence[int]) -> Shape:
        """Return the sizes after a deconvolution: stride (size - 1) + extent - pads."""
        out = tuple(s * (n - 1) + e - p for n, s, e, p in zip(sizes, self.stride, self.extent, self.pads))
        return self._positive(out, sizes)

    def _positive(self, out, sizes):
        if any(n < 1 for n in out):
            raise CaffeError(
                f"a bottom of {tuple(sizes)} is too small for kernel {self.kernel} with dilation {self.dilation}, "
                f"stride {self.stride} and pad {self.pad}"
            )
        return out

    def overhang(self, sizes: Sequence[int]) -> Shape:
        """Return how far the kernel exceeds the padded bottom along each axis, usually 0."""
        return tuple(max(0, e - n - p) for n, p, e in zip(sizes, self.pads, self.extent))


def window(param: Any, axes: int, sizes: Sequence[int] = ()) -> Window:
    """Read a ConvolutionParameter for `axes` spatial axes (base_conv_layer.cpp, im2col_layer.cpp).

    `sizes` of the bottom are needed for pad_type 1, whose padding depends on them.
    """
    kernel = _by_axis(param, axes, "kernel", "kernel_size", None)
    stride = _by_axis(param, axes, "stride", "stride", 1)
    pad = _by_axis(param, axes, "pad", "pad", 0)
    dilation = _dilation(param, axes)
    for name, values in (("kernel_size", kernel), ("stride", stride), ("dilation", dilation)):
        if any(v < 1 for v in values):
            raise CaffeError(f"{name} must be positive, received {list(values)}")
    # Dilation has no effect on a kernel of 1, and oneDNN crashes if such a dilated kernel is entirely in the padding.
    win = Window(kernel, stride, pad, tuple(1 if k == 1 else d for k, d in zip(kernel, dilation)))
    ends = fork_pads(param, win.extent, stride, sizes)
    return win if ends is None else dataclasses.replace(win, pad=ends[0], end=ends[1])


def _dilation(param, axes):
    for name in ("dilation", "hole"):  # of TSN's Caffe; of DeepLab v1
        if param.HasField(name + "_h") or param.HasField(name + "_w"):
            _need_two_axes(f"{name}_h and {name}_w", axes)
            return max(1, getattr(param, name + "_h")), max(1, getattr(param, name + "_w"))
    if param.HasField("hole"):
        return (param.hole,) * axes
    return _repeated("dilation", list(param.dilation), axes, 1)


def fork_pads(param: Any, extent: Sequence[int], stride: Sequence[int], sizes: Sequence[int]) -> tuple | None:
    """Return the padding (before, after) of the two axes from Synopsys' fields, or None if they are not set.

    The fields are pad_t, pad_b, pad_l and pad_r, or pad_type 1 (TensorFlow's SAME).
    """
    named = param.pad_t, param.pad_l, param.pad_b, param.pad_r
    if any(named):
        _need_two_axes("pad_t, pad_b, pad_l and pad_r", len(extent))
        return named[:2], named[2:]
    if not param.pad_type:
        return None
    if param.pad_type != 1:
        raise CaffeError(f"pad_type must be 0 or 1, received {param.pad_type}")
    along = [max(0, (-(-n // s) - 1) * s + e - n) for n, s, e in zip(sizes, stride, extent)]
    return tuple(n // 2 for n in along), tuple(n - n // 2 for n in along)


def _need_two_axes(fields, axes):
    if axes != 2:
        raise CaffeError(f"{fields} are for 2 spatial axes, the bottom has {axes}")


def _by_axis(param, axes, stem, field, default):
    height, width = stem + "_h", stem + "_w"
    values = list(getattr(param, field))
    if not (param.HasField(height) or param.HasField(width)):
        return _repeated(field, values, axes, default)
    if axes != 2:
        raise CaffeError(f"{height} and {width} are for 2 spatial axes, the bottom has {axes}; use {field}")
    if values:
        raise CaffeError(f"give {field} or {height} and {width}, not both")
    return getattr(param, height), getattr(param, width)


def _repeated(field, values, axes, default):
    if not values and default is not None:
        return (default,) * axes
    if len(values) not in (1, axes):
        raise CaffeError(f"expected one {field}, or one per spatial axis ({axes}), received {len(values)}")
    return tuple(values) if len(values) == axes else tuple(values * axes)


def pad_ends(x: Tensor, begin: Sequence[int], end: Sequence[int]) -> Tensor:
    """Pad the last len(begin) axes of `x` with `begin` zeros before and `end` zeros after."""
    if not any(begin) and not any(end):
        return x
    return F.pad(x, [n for pair in zip(reversed(begin), reversed(end)) for n in pair])


def columns(x: Tensor, win: Window) -> Tensor:
    """Im2col: N x C x sizes -> N x C x out sizes x kernel, a view of the padded `x` if possible."""
    sizes = x.shape[2:]
    out = win.size_down(sizes)
    x = pad_ends(x, win.pad, tuple(p + o for p, o in zip(win.pad_end, win.overhang(sizes))))
    for axis, (extent, stride) in enumerate(zip(win.extent, win.stride)):
        x = x.unfold(2 + axis, extent, stride)
    spatial = tuple(slice(n) for n in out)
    holes = tuple(slice(None, None, d) for d in win.dilation)
    index = (slice(None), slice(None), *spatial, *holes)
    return x[index]


def scatter(cols: Tensor, win: Window, out: Sequence[int]) -> Tensor:
    """Col2im: N x C x sizes x kernel -> N x C x `out`, adding each value at the position where `columns` reads it."""
    sizes = cols.shape[2 : 2 + len(out)]
    padded = [max(n + p, s * (m - 1) + e) for n, p, s, m, e in zip(out, win.pads, win.stride, sizes, win.extent)]
    result = cols.new_zeros((*cols.shape[:2], *padded))
    for offset in itertools.product(*(range(k) for k in win.kernel)):
        first = [o * d for o, d in zip(offset, win.dilation)]
        positions = tuple(slice(f, f + s * (m - 1) + 1, s) for f, s, m in zip(first, win.stride, sizes))
        target, source = (slice(None), slice(None), *positions), (..., *offset)
        result[target] += cols[source]
    inner = (slice(None), slice(None), *(slice(p, p + n) for p, n in zip(win.pad, out)))
    return result[inner]


class BaseConvolution(_Base):
    """Mixin of Convolution and Deconvolution (LayerSetUp and Reshape of base_conv_layer.cpp)."""

    reverse = False  # True for Deconvolution, which has the weights of the convolution it transposes
    apply: Any
    emit: Any

    @property
    def group(self) -> int:
        """The number of groups of channels and outputs."""
        return self.param.convolution_param.group

    def setup(self, bottom: Shape, *others: Shape) -> None:
        p = self.param.convolution_param
        self.channel = self.axis(p.axis, bottom)
        self.window = window(p, len(bottom) - self.channel - 1, bottom[self.channel + 1 :])
        self.channels = bottom[self.channel]
        self.need(p.num_output > 0, "num_output must be positive, received %d", p.num_output)
        group = self.group
        self.need(
            group > 0 and self.channels % group == 0 and p.num_output % group == 0,
            "group must divide the %d channels and num_output %d, received %d",
            self.channels,
            p.num_output,
            group,
        )
        outer, inner = (self.channels, p.num_output) if self.reverse else (p.num_output, self.channels)
        self.add_blob((outer, inner // group, *self.window.kernel), p.weight_filler)
        if p.bias_term:
            self.add_blob((p.num_output,), p.bias_filler)

    def top_shapes(self, bottom: Shape, *others: Shape) -> list[Shape]:
        axes = self.channel + 1 + len(self.window.kernel)
        self.need(len(bottom) == axes, "the bottom had %d axes when the layer was built, now %s", axes, bottom)
        self.need(
            bottom[self.channel] == self.channels,
            "the weights are for %d channels, the bottom is %s",
            self.channels,
            bottom,
        )
        for i, other in enumerate(others, 1):
            self.need(
                other == bottom,
                "all bottoms must have the same shape: bottom 0 is %s, bottom %d is %s",
                bottom,
                i,
                other,
            )
        if self.param.convolution_param.pad_type:
            self.window = window(self.param.convolution_param, len(self.window.kernel), bottom[self.channel + 1 :])
        size = self.window.size_up if self.reverse else self.window.size_down
        sizes = size(bottom[self.channel + 1 :])
        top = (*bottom[: self.channel], self.param.convolution_param.num_output, *sizes)
        return [top] * self.top_count

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        return tuple(self._forward_one(x) for x in bottoms)

    def _forward_one(self, x):
        flat = self.flat_shape(x.shape)
        weight = self.blobs[0].tensor
        bias = self.blobs[1].tensor if len(self.blobs) > 1 else None
        if self.window.kernel and flat == tuple(x.shape):
            return self.apply(x, weight, bias, self.window)
        if not self.window.kernel:
            y = self.apply(x.reshape(flat), weight.unsqueeze(-1), bias, Window((1,), (1,), (0,), (1,)))
        else:
            y = self.apply(x.reshape(flat), weight, bias, self.window)
        return y.reshape(self.top_shapes(tuple(x.shape))[0])

    def flat_shape(self, shape: Shape) -> Shape:
        """Return `shape` with the axes before the channels merged, and a spatial axis of 1 if there is none."""
        return (math.prod(shape[: self.channel]), self.channels, *(shape[self.channel + 1 :] or (1,)))

    def grouped(self, weight: Tensor) -> Tensor:
        """Return the weights as group x outputs x inputs x kernel elements, for any number of spatial axes."""
        group = self.group
        return weight.reshape(group, weight.shape[0] // group, weight.shape[1], -1)

    def exported(self, weight: Any, win: Window) -> tuple[Any, Window]:
        """Return weights and window in a form that every ONNX reader computes alike."""
        return weight, win

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        win = self.window if self.window.kernel else Window((1,), (1,), (0,), (1,))
        self.need(
            len(win.kernel) <= 3,
            "%s with %d spatial axes cannot be exported: ONNX runtimes support at most 3",
            self.type,
            len(win.kernel),
        )
        weight = self.blobs[0].data
        weight, win = self.exported(weight if self.window.kernel else weight[..., None], win)
        weights = [g.constant(weight, "weight")]
        weights += [g.constant(blob.data, "bias") for blob in self.blobs[1:]]
        for bottom, top in zip(bottoms, tops):
            shape = g.shape(bottom)
            flat, out = self.flat_shape(shape), self.top_shapes(shape)[0]
            source, result = bottom, top
            if not self.window.kernel or flat != tuple(shape):
                source, result = g.temp("flat"), g.temp("result")
                g.node("Reshape", [bottom, g.constant(list(flat), "shape")], [source])
            self.emit(g, [source, *weights], [result], win, flat[2:])
            if result != top:
                g.node("Reshape", [result, g.constant(list(out), "shape")], [top])


def attributes(win: Window, end: Sequence[int], group: int) -> dict[str, Any]:
    """Return the attributes of ONNX's Conv and ConvTranspose; `end` are the pads at the end of each axis."""
    return {
        "kernel_shape": list(win.kernel),
        "strides": list(win.stride),
        "dilations": list(win.dilation),
        "pads": [*win.pad, *end],
        "group": group,
    }


def add_bias(y: Tensor, bias: Tensor | None) -> Tensor:
    """Add `bias` along axis 1, if there is one."""
    return y if bias is None else y + bias.view(-1, *[1] * (y.dim() - 2))


def einsum_columns(cols: Tensor, weight: Tensor) -> Tensor:
    """Multiply columns N x (g C) x out x kernel by grouped weights -> N x (g M) x out, for any number of axes."""
    group, inputs = weight.shape[0], weight.shape[2]
    axes = (cols.dim() - 2) // 2
    out = cols.shape[2 : 2 + axes]
    flat = cols.reshape(cols.shape[0], group, inputs, math.prod(out), -1)
    return torch.einsum("ngcok,gmck->ngmo", flat, weight).reshape(cols.shape[0], -1, *out)
