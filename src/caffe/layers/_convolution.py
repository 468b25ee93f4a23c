"""Windows over spatial axes as ConvolutionParameter describes them, shared by Convolution, Deconvolution
and Im2col.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

from caffe.core.lazy_torch import F, torch
from caffe.errors import CaffeError


@dataclasses.dataclass(frozen=True)
class Window:
    """Kernel, stride, pad and dilation, one int a spatial axis each; `end` is the pad at the ends where it differs."""

    kernel: tuple
    stride: tuple
    pad: tuple
    dilation: tuple
    end: tuple | None = None

    @property
    def pad_end(self):
        """The pad behind each axis."""
        return self.pad if self.end is None else self.end

    @property
    def pads(self):
        """The pad before and behind each axis, together."""
        return tuple(begin + end for begin, end in zip(self.pad, self.pad_end))

    @property
    def extent(self):
        """How far the kernel reaches along each axis, holes of the dilation included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation))

    def size_down(self, sizes):
        """Sizes after a convolution: (size + 2 pad - extent) / stride + 1 with C's division, which rounds
        towards zero.
        """
        room = (n + p - e for n, p, e in zip(sizes, self.pads, self.extent))
        out = tuple(int(math.copysign(abs(r) // s, r)) + 1 for r, s in zip(room, self.stride))
        return self._positive(out, sizes)

    def size_up(self, sizes):
        """Sizes after a deconvolution: stride (size - 1) + extent - 2 pad."""
        out = tuple(s * (n - 1) + e - p for n, s, e, p in zip(sizes, self.stride, self.extent, self.pads))
        return self._positive(out, sizes)

    def _positive(self, out, sizes):
        if any(n < 1 for n in out):
            raise CaffeError(
                f"a kernel of {self.kernel} with dilation {self.dilation}, stride {self.stride} and pad {self.pad} leaves nothing of a bottom of {tuple(sizes)}"
            )
        return out

    def overhang(self, sizes):
        """What a lone window reaches beyond the end pad, by axis; not zero only where the kernel exceeds
        the padded bottom.
        """
        return tuple(max(0, e - n - p) for n, p, e in zip(sizes, self.pads, self.extent))


def window(param, axes, sizes=()):
    """Read a ConvolutionParameter for `axes` spatial axes, with Caffe's checks (base_conv_layer.cpp,
    im2col_layer.cpp). `sizes` of the bottom are for pad_type 1, which pads so that no size but the stride's counts.
    """
    kernel = _by_axis(param, axes, "kernel", "kernel_size", None)
    stride = _by_axis(param, axes, "stride", "stride", 1)
    pad = _by_axis(param, axes, "pad", "pad", 0)
    dilation = _dilation(param, axes)
    for name, values in (("kernel_size", kernel), ("stride", stride), ("dilation", dilation)):
        if any(v < 1 for v in values):
            raise CaffeError(f"{name} must be positive, received {list(values)}")
    win = Window(kernel, stride, pad, dilation)
    ends = own_pads(param, win.extent, stride, sizes)
    return win if ends is None else dataclasses.replace(win, pad=ends[0], end=ends[1])


def _dilation(param, axes):
    if param.HasField("dilation_h") or param.HasField("dilation_w"):  # TSN's Caffe
        return max(1, param.dilation_h), max(1, param.dilation_w)
    return _repeated("dilation", list(param.dilation), axes, 1)


def own_pads(param, extent, stride, sizes):
    """(before, behind) each of the two axes by Synopsys' pad_t, pad_b, pad_l and pad_r or pad_type 1 (TensorFlow's SAME);
    None where neither is given.
    """
    named = param.pad_t, param.pad_l, param.pad_b, param.pad_r
    if any(named):
        return named[:2], named[2:]
    if not param.pad_type:
        return None
    if param.pad_type != 1:
        raise CaffeError("pad_type must be 0 or 1, received %d" % param.pad_type)
    along = [max(0, (-(-n // s) - 1) * s + e - n) for n, s, e in zip(sizes, stride, extent)]
    return tuple(n // 2 for n in along), tuple(n - n // 2 for n in along)


def _by_axis(param, axes, stem, field, default):
    height, width = stem + "_h", stem + "_w"
    values = list(getattr(param, field))
    if not (param.HasField(height) or param.HasField(width)):
        return _repeated(field, values, axes, default)
    if axes != 2:
        raise CaffeError("%s and %s are for 2 spatial axes, the bottom has %d; use %s" % (height, width, axes, field))
    if values:
        raise CaffeError(f"give {field} or {height} and {width}, not both")
    return getattr(param, height), getattr(param, width)


def _repeated(field, values, axes, default):
    if not values and default is not None:
        return (default,) * axes
    if len(values) not in (1, axes):
        raise CaffeError("%s must be given once or once a spatial axis (%d), received %d" % (field, axes, len(values)))
    return tuple(values) if len(values) == axes else tuple(values * axes)


def pad_ends(x, begin, end):
    """Add `begin` and `end` zeros around the last len(begin) axes of `x`."""
    if not any(begin) and not any(end):
        return x
    return F.pad(x, [n for pair in zip(reversed(begin), reversed(end)) for n in pair])


def columns(x, win):
    """Im2col: N x C x sizes -> N x C x out sizes x kernel, a view of the padded `x` where torch allows."""
    sizes = x.shape[2:]
    out = win.size_down(sizes)
    x = pad_ends(x, win.pad, tuple(p + o for p, o in zip(win.pad_end, win.overhang(sizes))))
    for axis, (extent, stride) in enumerate(zip(win.extent, win.stride)):
        x = x.unfold(2 + axis, extent, stride)
    spatial = tuple(slice(n) for n in out)
    holes = tuple(slice(None, None, d) for d in win.dilation)
    return x[(slice(None), slice(None), *spatial, *holes)]


def scatter(cols, win, out):
    """Col2im: N x C x sizes x kernel -> N x C x `out`, each window's values added where `columns` reads
    them.
    """
    sizes = cols.shape[2 : 2 + len(out)]
    padded = [max(n + p, s * (m - 1) + e) for n, p, s, m, e in zip(out, win.pads, win.stride, sizes, win.extent)]
    result = cols.new_zeros((*cols.shape[:2], *padded))
    for offset in itertools.product(*(range(k) for k in win.kernel)):
        first = [o * d for o, d in zip(offset, win.dilation)]
        place = tuple(slice(f, f + s * (m - 1) + 1, s) for f, s, m in zip(first, win.stride, sizes))
        result[(slice(None), slice(None), *place)] += cols[(..., *offset)]
    return result[(slice(None), slice(None), *(slice(p, p + n) for p, n in zip(win.pad, out)))]


class BaseConvolution:
    """What Convolution and Deconvolution have in common; `self` is the layer (base_conv_layer.cpp's
    LayerSetUp and Reshape).
    """

    @property
    def group(self):
        """Into how many groups channels and outputs are divided."""
        return self.param.convolution_param.group

    reverse = False  # Deconvolution: its blobs are those of the convolution whose backward it is

    def setup(self, bottom, *others):
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

    def top_shapes(self, bottom, *others):
        axes = self.channel + 1 + len(self.window.kernel)
        self.need(len(bottom) == axes, "the bottom had %d axes when the layer was made, now %s", axes, bottom)
        self.need(
            bottom[self.channel] == self.channels,
            "the weights are for %d channels, the bottom is %s",
            self.channels,
            bottom,
        )
        for i, other in enumerate(others, 1):
            self.need(
                other == bottom,
                "all bottoms must have one shape: bottom 0 is %s, bottom %d is %s",
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

    def forward(self, *bottoms):
        return tuple(self._one(x) for x in bottoms)

    def _one(self, x):
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

    def flat_shape(self, shape):
        """`shape` with all axes before the channels as one, and a spatial axis of 1 where there is none."""
        return (math.prod(shape[: self.channel]), self.channels, *(shape[self.channel + 1 :] or (1,)))

    def grouped(self, weight):
        """The weights as group x outputs x inputs x kernel elements, for more spatial axes than torch
        convolves.
        """
        group = self.group
        return weight.reshape(group, weight.shape[0] // group, weight.shape[1], -1)

    def to_onnx(self, g, bottoms, tops):
        win = self.window if self.window.kernel else Window((1,), (1,), (0,), (1,))
        self.need(
            len(win.kernel) <= 3,
            "%s over %d spatial axes has no ONNX form: its runtimes stop at 3",
            self.type,
            len(win.kernel),
        )
        weight = self.blobs[0].data
        weights = [g.constant(weight if self.window.kernel else weight[..., None], "weight")]
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


def attributes(win, end, group):
    """The attributes that ONNX's Conv and ConvTranspose share; `end` are the pads at the ends."""
    return {
        "kernel_shape": list(win.kernel),
        "strides": list(win.stride),
        "dilations": list(win.dilation),
        "pads": [*win.pad, *end],
        "group": group,
    }


def add_bias(y, bias):
    """y + bias along axis 1 (bias None: y)."""
    return y if bias is None else y + bias.view(-1, *[1] * (y.dim() - 2))


def einsum_columns(cols, weight):
    """N x (g C) x out x kernel columns times grouped weights -> N x (g M) x out, for any number of axes."""
    group, inputs = weight.shape[0], weight.shape[2]
    axes = (cols.dim() - 2) // 2
    out = cols.shape[2 : 2 + axes]
    flat = cols.reshape(cols.shape[0], group, inputs, math.prod(out), -1)
    return torch.einsum("ngcok,gmck->ngmo", flat, weight).reshape(cols.shape[0], -1, *out)
