"""How the coordinates of one blob of a NetSpec map to another's, and the Crop layer that follows (pycaffe's
coord_map.py).

A map is (axis, scale, shift): output coordinate i reads input coordinate i * scale + shift. Axis None is the
map of pointwise layers, which hold for any axis.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from caffe.net_spec import layers as L

PASS_THROUGH_LAYERS = [
    "AbsVal", "BatchNorm", "Bias", "BNLL", "Dropout", "Eltwise", "ELU", "Log", "LRN", "Exp", "MVN", "Power",
    "ReLU", "PReLU", "Scale", "Sigmoid", "Split", "TanH", "Threshold",
]  # fmt: skip
IDENTITY = (None, 1, 0)
_LEGACY = {"pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w"}


class UndefinedMapException(Exception):
    """Layers such as InnerProduct mix all coordinates."""


class AxisMismatchException(Exception):
    """Two maps are about different axes."""


def _array(params, key, default):
    return np.array(params.get(key, default), ndmin=1)


def conv_params(fn):
    """(axis, stride, extent of the dilated kernel, pad) of a Convolution, Deconvolution, Im2col or Pooling.

    The old kernel_h/kernel_w spellings are an AssertionError, as in pycaffe.
    """
    params = fn.params.get("convolution_param", fn.params.get("pooling_param", fn.params))
    if _LEGACY & set(params):
        raise AssertionError("cropping does not support legacy _h/_w params")
    extent = (np.array(params["kernel_size"], ndmin=1) - 1) * _array(params, "dilation", 1) + 1
    return params.get("axis", 1), _array(params, "stride", 1), extent, _array(params, "pad", 0)


def crop_params(fn):
    """(axis, offset) of a Crop layer."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), _array(params, "offset", 0)


def coord_map(fn):
    """The map of one layer; UndefinedMapException where there is none."""
    kind = fn.type_name
    if kind in ("Convolution", "Pooling", "Im2col"):
        axis, stride, extent, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (extent - 1) / 2) / stride
    if kind == "Deconvolution":
        axis, stride, extent, pad = conv_params(fn)
        return axis, stride, (extent - 1) / 2 - pad
    if kind in PASS_THROUGH_LAYERS:
        return IDENTITY
    if kind == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset  # the axis before the first cropped one, as a convolution counts
    raise UndefinedMapException(kind)


def compose(base_map, next_map):
    """First `next_map`, then `base_map`."""
    axis1, scale1, shift1 = base_map
    axis2, scale2, shift2 = next_map
    if axis1 is not None and axis2 is not None and axis1 != axis2:
        raise AxisMismatchException(f"axis {axis1} and axis {axis2}")
    return (axis2 if axis1 is None else axis1), scale1 * scale2, scale1 * shift2 + shift1


def inverse(coord_map):
    """The way back."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def _bottoms(fn):
    # The second bottom of Crop only gives a size.
    return fn.inputs[:1] if fn.type_name == "Crop" else fn.inputs


def _ancestors(top):
    """Yield (blob, map from `top` to it), nearest first, as far as maps are defined."""
    maps, waiting = {top: IDENTITY}, deque([top])
    while waiting:
        current = waiting.popleft()
        yield current, maps[current]
        bottoms = _bottoms(current.fn)
        if not bottoms:
            continue
        try:
            step = compose(maps[current], coord_map(current.fn))
        except UndefinedMapException:
            continue
        for bottom in bottoms:
            if bottom not in maps:
                maps[bottom] = step
                waiting.append(bottom)


def coord_map_from_to(top_from, top_to):
    """The map from `top_from` to `top_to` by way of a blob that both come from; RuntimeError where there is
    none.
    """
    origins = dict(_ancestors(top_from))
    for blob, to_map in _ancestors(top_to):
        if blob in origins:
            return compose(to_map, inverse(origins[blob]))
    raise RuntimeError("Could not compute map between tops; are they connected by spatial layers?")


def crop(top_from, top_to):
    """A Crop layer that cuts `top_from` to the place and size of `top_to`; AssertionError where no crop can
    do that.
    """
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    scale, shift = np.array(scale, ndmin=1), np.array(shift, ndmin=1)
    if not (scale == 1).all():
        raise AssertionError(f"scale mismatch on crop (a = {scale})")
    if not (shift <= 0).all():
        raise AssertionError(f"cannot crop negative offset (b = {shift})")
    if not (np.round(shift) == shift).all():
        raise AssertionError(f"cannot crop noninteger offset (b = {shift})")
    first = 2 if axis is None else axis + 1
    return L.Crop(top_from, top_to, crop_param=dict(axis=first, offset=[int(-b) for b in shift]))
