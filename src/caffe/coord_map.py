"""Coordinate maps between blobs of a NetSpec, and the Crop layers they imply (pycaffe's coord_map.py).

A map is (axis, scale, shift): output coordinate i reads input coordinate i * scale + shift. Pointwise layers apply
to every axis; their map has axis None.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from caffe.net_spec import Function, Top
from caffe.net_spec import layers as L

PASS_THROUGH_LAYERS = [
    "AbsVal", "BatchNorm", "Bias", "BNLL", "Dropout", "Eltwise", "ELU", "Log", "LRN", "Exp", "MVN", "Power",
    "ReLU", "PReLU", "Scale", "Sigmoid", "Split", "TanH", "Threshold",
]  # fmt: skip
IDENTITY = (None, 1, 0)
_LEGACY_FIELDS = {"pad_h", "pad_w", "kernel_h", "kernel_w", "stride_h", "stride_w"}


class UndefinedMapException(Exception):
    """No coordinate map exists: layers such as InnerProduct mix all coordinates."""


class AxisMismatchException(Exception):
    """Two maps refer to different axes."""


def _array(params, key, default):
    return np.array(params.get(key, default), ndmin=1)


def conv_params(fn: Function) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Return (axis, stride, extent of the dilated kernel, pad) of a Convolution, Deconvolution, Im2col or Pooling.

    The old kernel_h/kernel_w fields raise an AssertionError, as in pycaffe.
    """
    params = fn.params.get("convolution_param", fn.params.get("pooling_param", fn.params))
    if _LEGACY_FIELDS & set(params):
        raise AssertionError("cropping does not support legacy _h/_w params")
    extent = (np.array(params["kernel_size"], ndmin=1) - 1) * _array(params, "dilation", 1) + 1
    return params.get("axis", 1), _array(params, "stride", 1), extent, _array(params, "pad", 0)


def crop_params(fn: Function) -> tuple[int, np.ndarray]:
    """Return (axis, offset) of a Crop layer."""
    params = fn.params.get("crop_param", fn.params)
    return params.get("axis", 2), _array(params, "offset", 0)


def coord_map(fn: Function) -> tuple:
    """Return the map of one layer; raise UndefinedMapException if it has none."""
    type_name = fn.type_name
    if type_name in ("Convolution", "Pooling", "Im2col"):
        axis, stride, extent, pad = conv_params(fn)
        return axis, 1 / stride, (pad - (extent - 1) / 2) / stride
    if type_name == "Deconvolution":
        axis, stride, extent, pad = conv_params(fn)
        return axis, stride, (extent - 1) / 2 - pad
    if type_name in PASS_THROUGH_LAYERS:
        return IDENTITY
    if type_name == "Crop":
        axis, offset = crop_params(fn)
        return axis - 1, 1, -offset  # convolutions give the channel axis, one before the first spatial axis
    raise UndefinedMapException(type_name)


def compose(base_map: tuple, next_map: tuple) -> tuple:
    """Return the map that applies `next_map`, then `base_map`."""
    axis1, scale1, shift1 = base_map
    axis2, scale2, shift2 = next_map
    if axis1 is not None and axis2 is not None and axis1 != axis2:
        raise AxisMismatchException(f"axis {axis1} and axis {axis2}")
    return (axis2 if axis1 is None else axis1), scale1 * scale2, scale1 * shift2 + shift1


def inverse(coord_map: tuple) -> tuple:
    """Return the inverse map."""
    axis, scale, shift = coord_map
    return axis, 1 / scale, -shift / scale


def _bottoms(fn):
    # Crop takes only the size from its second bottom.
    return fn.inputs[:1] if fn.type_name == "Crop" else fn.inputs


def _ancestors(top):
    """Yield (blob, map from `top` to the blob), nearest first, as far as maps are defined."""
    maps, queue = {top: IDENTITY}, deque([top])
    while queue:
        current = queue.popleft()
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
                queue.append(bottom)


def coord_map_from_to(top_from: Top, top_to: Top) -> tuple:
    """Return the map from `top_from` to `top_to` through a common ancestor; raise RuntimeError if there is none."""
    from_maps = dict(_ancestors(top_from))
    for blob, to_map in _ancestors(top_to):
        if blob in from_maps:
            return compose(to_map, inverse(from_maps[blob]))
    raise RuntimeError("Could not compute map between tops; are they connected by spatial layers?")


def crop(top_from: Top, top_to: Top) -> Top:
    """Return a Crop layer that aligns `top_from` with `top_to`; raise AssertionError if no crop can."""
    axis, scale, shift = coord_map_from_to(top_from, top_to)
    scale, shift = np.array(scale, ndmin=1), np.array(shift, ndmin=1)
    if not (scale == 1).all():
        raise AssertionError(f"scale mismatch on crop (a = {scale})")
    if not (shift <= 0).all():
        raise AssertionError(f"cannot crop negative offset (b = {shift})")
    if not (np.round(shift) == shift).all():
        raise AssertionError(f"cannot crop noninteger offset (b = {shift})")
    first_axis = 2 if axis is None else axis + 1
    return L.Crop(top_from, top_to, crop_param=dict(axis=first_axis, offset=[int(-b) for b in shift]))
