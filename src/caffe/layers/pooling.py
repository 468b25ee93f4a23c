"""Pooling: MAX, AVE and STOCHASTIC over spatial windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import F, torch
from caffe.kernels import pooling as kernels
from caffe.layers import _pooling_3d
from caffe.layers._convolution import fork_pads, pad_ends
from caffe.layers._pooling_axis import Axis
from caffe.layers.base import TRAIN, Example, Layer, Shape, Tensor, register
from caffe.proto import caffe_pb2

MAX, AVE, STOCHASTIC, AVE_EXC_PAD, AVE_TF = (
    caffe_pb2.PoolingParameter.PoolMethod.Value(n) for n in ("MAX", "AVE", "STOCHASTIC", "AVE_EXC_PAD", "AVE_TF")
)
FLOOR = caffe_pb2.PoolingParameter.FLOOR


@register
class Pooling(Layer):
    """Maximum (MAX), mean (AVE) or randomly drawn value (STOCHASTIC) of each spatial window (pooling_layer.cpp).

    The number of windows is rounded up (round_mode: FLOOR rounds down); with padding, a last window that starts beyond
    the bottom is dropped. AVE divides by the size of the window including padding, but not what exceeds the padding.
    MAX writes the index of the (first) maximum, y * width + x, to the second top, if there is one. STOCHASTIC draws a
    value with a probability proportional to it in TRAIN, and computes sum x^2 / sum x in TEST (Zeiler & Fergus 2013).
    With global_pooling, the window is the whole image.

    Forks: ceil_mode: false rounds down. pad_t, pad_b, pad_l, pad_r and pad_type 1 (TensorFlow's SAME) are Synopsys'.
    A bottom with five axes is pooled over three (TSN, C3D, intel/caffe): kernel_size, stride and pad may have one value
    per axis. AVE_EXC_PAD and AVE_TF (Synopsys) and avg_include_pad: false (intel/caffe) divide by the number of values
    of the bottom in the window.
    """

    num_top: int | tuple = (1, 2)
    examples: tuple = (
        Example("pooling_param { pool: MAX kernel_size: 3 stride: 2 }", [(2, 3, 8, 8)]),
        Example("pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 }", [(2, 3, 8, 7)], tops=2),
        Example("pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }", [(2, 3, 8, 7)]),
        Example("pooling_param { pool: AVE kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 }", [(2, 3, 6, 8)]),
        Example("pooling_param { pool: MAX kernel_size: 3 stride: 2 round_mode: FLOOR }", [(2, 3, 8, 8)]),
        Example("pooling_param { pool: AVE global_pooling: true }", [(2, 3, 4, 5)]),
        Example("pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }", [(2, 3, 5, 6)], ("unit",)),
        Example("pooling_param { pool: MAX kernel_size: 3 stride: 2 ceil_mode: false }", [(2, 3, 8, 8)]),
        Example("pooling_param { pool: AVE_EXC_PAD kernel_size: 3 stride: 2 pad: 1 }", [(2, 3, 8, 7)]),
        Example("pooling_param { pool: AVE kernel_size: 3 stride: 2 pad_l: 1 pad_b: 1 }", [(2, 3, 8, 7)]),
        Example("pooling_param { pool: MAX kernel_size: 3 stride: 2 pad_type: 1 }", [(2, 3, 8, 7)]),
        Example("pooling_param { pool: MAX kernel_size: [1, 2, 3] stride: [1, 2, 2] }", [(1, 2, 3, 5, 6)]),
        Example("pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }", [(1, 2, 4, 5, 6)]),
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.param.pooling_param.pool != MAX:
            self.num_top = 1

    @property
    def stick_form(self) -> bool:
        """Whether there is a second top, the mask."""
        return self.top_count == 2

    @property
    def floor(self) -> bool:
        """Whether the number of windows is rounded down."""
        p = self.param.pooling_param
        return p.round_mode == FLOOR if p.HasField("round_mode") else not p.ceil_mode

    @property
    def method(self) -> int:
        """MAX, AVE or STOCHASTIC."""
        p = self.param.pooling_param
        return AVE if p.pool in (AVE_EXC_PAD, AVE_TF) else p.pool

    @property
    def excludes_padding(self) -> bool:
        """Whether AVE divides by the number of values of the bottom in the window."""
        p = self.param.pooling_param
        return p.pool in (AVE_EXC_PAD, AVE_TF) or (p.pool == AVE and not p.avg_include_pad)

    def setup(self, bottom: Shape) -> None:
        p = self.param.pooling_param
        if len(bottom) == 5:
            _pooling_3d.windows_of(self, bottom)
            return
        self.need(
            len(bottom) == 4,
            "the bottom must have 4 axes (num, channels, height, width), received %s",
            bottom,
        )
        if p.global_pooling:
            sized = p.HasField("kernel_size") or p.HasField("kernel_h") or p.HasField("kernel_w")
            self.need(not sized, "global_pooling pools the whole image; remove the kernel size")
            self.kernel: Any = None  # the size of the bottom
        else:
            self.kernel = self._pair("kernel", "kernel_size")
            self.need(min(self.kernel) > 0, "the kernel must be positive, received %s", self.kernel)
        self.pad, self.stride = self._pair("pad", "pad"), self._pair("stride", "stride")
        self.need(min(self.stride) > 0, "the stride must be positive, received %s", self.stride)
        if p.global_pooling:
            self.need(
                self.pad == (0, 0) and self.stride == (1, 1),
                "global_pooling needs pad 0 and stride 1, received %s and %s",
                self.pad,
                self.stride,
            )
        elif any(self.pad):
            self.need(p.pool != STOCHASTIC, "padding is for MAX and AVE pooling only")
            self.need(
                all(a < k for a, k in zip(self.pad, self.kernel)),
                "pad must be less than the kernel: pad %s, kernel %s",
                self.pad,
                self.kernel,
            )

    def _pair(self, stem, field):
        p, names = self.param.pooling_param, (stem + "_h", stem + "_w")
        is_set = [p.HasField(n) for n in names]
        self.need(
            not (p.HasField(field) and any(is_set)) and is_set[0] == is_set[1],
            "expected either %s, or both %s and %s",
            field,
            *names,
        )
        several = list(getattr(p, {"kernel": "kernel_size"}.get(stem, stem) + "_3d"))
        if several:
            self.need(len(several) == 2, "expected one or two values of %s, received %s", field, several)
            return several[0], several[1]
        if all(is_set):
            return getattr(p, names[0]), getattr(p, names[1])
        self.need(stem != "kernel" or p.HasField(field), "kernel_size, or kernel_h and kernel_w, is required")
        return (getattr(p, field),) * 2

    def axes(self, shape: Shape) -> list[Axis]:
        """Return the vertical and horizontal windows of a bottom of `shape`."""
        kernel = self.kernel or shape[2:]
        begin, end = fork_pads(self.param.pooling_param, kernel, self.stride, shape[2:]) or (self.pad, self.pad)
        padded = any(begin) or any(end)
        return [self._axis(*values, padded) for values in zip(shape[2:], kernel, self.stride, begin, end)]

    def _axis(self, size, kernel, stride, pad, end, padded):
        room = size + pad + end - kernel
        out = (room // stride if self.floor else -(-room // stride)) + 1
        if self.param.pooling_param.pad_type:
            out = -(-size // stride)
        elif (padded or kernel == 1) and (out - 1) * stride >= size + pad:
            out -= 1  # without padding, Caffe would read beyond the bottom; intel/caffe does the same
        self.need(out >= 1, "a kernel of %d does not fit into %d values with pad %d", kernel, size, pad)
        self.need(
            (out - 1) * stride < size + pad,
            "the last of %d windows of %d with stride %d starts beyond the %d values "
            "(Caffe would write -3.4e38 or 0 / 0); "
            "use round_mode: FLOOR, or a stride not larger than the kernel",
            out,
            kernel,
            stride,
            size,
        )
        return Axis(size, kernel, stride, pad, out, end)

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        if len(bottom) == 5:
            return [(*bottom[:2], *(a.out for a in _pooling_3d.windows_of(self, bottom)))]
        self.need(
            len(bottom) == 4,
            "the bottom must have 4 axes (num, channels, height, width), received %s",
            bottom,
        )
        return [(*bottom[:2], *(a.out for a in self.axes(bottom)))] * self.top_count

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        method = self.method
        if x.dim() == 5:
            return _pooling_3d.forward(self, x, _pooling_3d.windows_of(self, tuple(x.shape)))
        axes = self.axes(tuple(x.shape))
        if method == MAX:
            return self._max(x, axes)
        if method == AVE:
            return self._ave(x, axes)
        return _draw(x, axes, self.random(x.device)) if self.phase == TRAIN else _expect(x, axes)

    def _ceil(self):
        return not self.floor

    def _max(self, x, axes):
        kernel, stride, pad = ([getattr(a, n) for a in axes] for n in ("kernel", "stride", "pad"))
        with_indices, begin = self.top_count == 2, [0, 0]
        width = x.shape[3]
        if all(a.torch_agrees(self._ceil()) for a in axes):
            if self.native and not with_indices and kernels.is_supported(x, kernel):
                return kernels.maximum(x, [a.out for a in axes], kernel, stride, pad)
            result = F.max_pool2d(x, kernel, stride, pad, 1, self._ceil(), with_indices)
        else:
            begin, end = pad, [a.overhang for a in axes]
            x = F.pad(x, [begin[1], end[1], begin[0], end[0]], value=-float("inf"))
            result = F.max_pool2d(x, kernel, stride, 0, 1, False, with_indices)
        if not with_indices:
            return result
        top, index = result
        rows, columns = index // x.shape[3] - begin[0], index % x.shape[3] - begin[1]
        return top, (rows * width + columns).float()

    def _ave(self, x, axes):
        kernel, stride, pad = ([getattr(a, n) for a in axes] for n in ("kernel", "stride", "pad"))
        if not self.excludes_padding and all(a.torch_agrees(self._ceil()) for a in axes):
            return F.avg_pool2d(x, kernel, stride, pad, self._ceil())
        return _sum(x, axes) * torch.from_numpy(1 / _areas(axes, self.excludes_padding)).to(x)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        p, shape = self.param.pooling_param, tuple(g.shape(bottoms[0]))
        if len(shape) == 5:
            _pooling_3d.to_onnx(self, g, bottoms, tops, _pooling_3d.windows_of(self, shape))
            return
        axes = self.axes(shape)
        if p.global_pooling and self.method != STOCHASTIC and len(tops) == 1:
            g.node("GlobalMaxPool" if p.pool == MAX else "GlobalAveragePool", bottoms, tops)
        elif p.pool == MAX:
            self._max_to_onnx(g, bottoms, tops, axes)
        elif self.method == AVE:
            _ave_to_onnx(g, bottoms, tops, axes, self.excludes_padding)
        else:
            _expect_to_onnx(g, bottoms, tops, axes)

    def _max_to_onnx(self, g, bottoms, tops, axes):
        if len(tops) == 1:
            g.node("MaxPool", bottoms, tops, **_attributes(axes))
            return
        if g.stick:
            _places_for_stick(self, g, bottoms[0], tops, axes)
            return
        index, plane_index = g.temp("index"), g.temp("plane_index")
        g.node("MaxPool", bottoms, [tops[0], index], **_attributes(axes))
        plane = g.constant([axes[0].size * axes[1].size], "plane")
        g.node("Mod", [index, plane], [plane_index])  # ONNX's index counts through all planes
        g.node("Cast", [plane_index], [tops[1]], to=1)


def _places_for_stick(layer, g, bottom, tops, axes):
    """Emit the maximum, and note for the second top which of the four values of each window is the (first) maximum."""
    simple = all((a.kernel, a.stride, a.pad) == (2, 2, 0) for a in axes)
    layer.need(
        simple,
        "the stick's compiler supports a mask only for a kernel of 2 with stride 2 and no padding; end the net before "
        "this layer with -on LAYER",
    )
    channels = g.shape(bottom)[1]
    source, ends = bottom, [a.overhang for a in axes]
    if any(ends):
        source = g.temp("padded")
        pads = g.constant([0, 0, 0, 0, 0, 0, *ends], "pads")
        g.node("Pad", [bottom, pads, g.constant(np.float32(-6e4), "lowest")], [source])
    g.node("MaxPool", [source], [tops[0]], kernel_shape=[2, 2], strides=[2, 2])
    places, free = [], None
    for number in range(4):
        kernel = np.zeros((channels, 1, 2, 2), np.float32)
        kernel[:, 0, number // 2, number % 2] = 1
        value, below, equal, place = (g.temp(name) for name in ("value", "below", "equal", "place"))
        g.node(
            "Conv", [source, g.constant(kernel, "pick")], [value], group=channels, strides=[2, 2], kernel_shape=[2, 2]
        )
        g.node("Less", [value, tops[0]], [below])
        smaller = g.temp("smaller")
        g.node("Cast", [below], [smaller], to=1)
        g.node("Sub", [g.constant(np.float32(1), "one"), smaller], [equal])
        if free is None:
            place, free = equal, smaller
        else:
            left = g.temp("free")
            g.node("Mul", [equal, free], [place])
            g.node("Mul", [free, smaller], [left])
            free = left
        places.append(place)
    g.notes[tops[1]] = places


def _areas(axes, inside=False):
    counts = [a.inside if inside else a.lengths for a in axes]
    return np.multiply.outer(*counts).astype(np.float32)


def _sum(x, axes):
    x = pad_ends(x, [a.pad for a in axes], [a.overhang for a in axes])
    return F.avg_pool2d(x, [a.kernel for a in axes], [a.stride for a in axes], divisor_override=1)


def _expect(x, axes):
    total = _sum(x, axes)
    positive = total > 0
    return torch.where(positive, _sum(x * x, axes) / torch.where(positive, total, 1.0), 0.0)


def _draw(x, axes, generator):
    """Draw one value per window: the first whose cumulative sum reaches a uniform fraction of the window's sum."""
    inside = pad_ends(torch.ones_like(x[:1, :1]), (0, 0), [a.overhang for a in axes])
    x = pad_ends(x, (0, 0), [a.overhang for a in axes])
    for axis, a in enumerate(axes):
        x, inside = (t.unfold(2 + axis, a.kernel, a.stride).narrow(2 + axis, 0, a.out) for t in (x, inside))
    x, inside = x.flatten(4), inside.flatten(4) > 0
    sums = x.detach().cumsum(4)
    fraction = torch.empty(sums.shape[:4], dtype=x.dtype, device=x.device).uniform_(generator=generator)
    reached = (sums >= (fraction * sums[..., -1])[..., None]) & inside
    return x.gather(4, reached.to(torch.uint8).argmax(4, keepdim=True)).squeeze(4)


def _attributes(axes):
    # Explicit end pads, since runtimes interpret ceil_mode differently for the last window.
    return {
        "kernel_shape": [a.kernel for a in axes],
        "strides": [a.stride for a in axes],
        "pads": [a.pad for a in axes] + [a.overhang for a in axes],
    }


def _ave_to_onnx(g, bottoms, tops, axes, inside):
    areas = _areas(axes, inside)
    correction = axes[0].kernel * axes[1].kernel / areas
    out = tops[0] if (correction == 1).all() else g.temp("by_kernel")
    g.node("AveragePool", bottoms, [out], count_include_pad=1, **_attributes(axes))
    if out != tops[0]:
        # All four axes: the compiler for Myriad 2 keeps channels innermost, where a plane alone would lie along them.
        g.node("Mul", [out, g.constant(correction.astype(np.float32)[None, None], "divisor")], tops)


def _expect_to_onnx(g, bottoms, tops, axes):
    square, above, below, ratio, positive = (g.temp(n) for n in ("square", "above", "below", "ratio", "positive"))
    zero = g.constant(np.zeros((), np.float32), "zero")
    g.node("Mul", [bottoms[0], bottoms[0]], [square])
    for source, mean in ((square, above), (bottoms[0], below)):
        g.node("AveragePool", [source], [mean], count_include_pad=1, **_attributes(axes))
    g.node("Div", [above, below], [ratio])
    g.node("Greater", [below, zero], [positive])
    g.node("Where", [positive, ratio, zero], tops)
