"""Memory layouts of tensors on the host: NCSDK's is (H, W, C); a tensor descriptor's strides may select another."""

from __future__ import annotations

from typing import Any

import numpy as np

from ncs.mvnc_compat.options import FifoDataType, MvncError, Status

_HWC = (1, 2, 0)  # axes of a (C, H, W) array, outermost first


def check(descriptor: Any) -> None:
    """Raise MvncError unless the strides of a TensorDescriptor describe a tensor without gaps."""
    names = ("n", "c", "h", "w", "cStride", "hStride", "wStride", "dataType")
    missing = [name for name in names if not hasattr(descriptor, name)]
    if missing:
        raise MvncError(Status.INVALID_PARAMETERS, f"expected a TensorDescriptor, received {descriptor!r}")
    sizes, strides = _sizes(descriptor), _strides(descriptor)
    expected = 2 if FifoDataType(descriptor.dataType) == FifoDataType.FP16 else 4
    for axis in reversed(order(descriptor)):
        if sizes[axis] > 1 and strides[axis] != expected:
            raise MvncError(
                Status.INVALID_PARAMETERS,
                f"strides c {strides[0]}, h {strides[1]}, w {strides[2]} of a {sizes[0]}x{sizes[1]}x{sizes[2]} (C, H, "
                "W) tensor have gaps; expected a dense layout",
            )
        expected *= sizes[axis]


def order(descriptor: Any) -> tuple[int, ...]:
    """Return the axes of (C, H, W) in the order of a descriptor's memory, outermost first; without one (H, W, C)."""
    if descriptor is None:
        return _HWC
    strides = _strides(descriptor)
    return tuple(sorted(_HWC, key=lambda axis: -strides[axis]))  # a stable sort: equal strides keep (H, W, C)


def to_host(values: np.ndarray, shape: tuple[int, ...], descriptor: Any) -> np.ndarray:
    """Return the elements of a flat (C, H, W) array of `shape` in the host's order, flat as NCSDK returns them."""
    _check_sizes(descriptor, shape)
    return np.ascontiguousarray(values.reshape(shape).transpose(order(descriptor))).ravel()


def from_host(tensor: np.ndarray, shape: tuple[int, ...], descriptor: Any) -> np.ndarray:
    """Return a tensor in the host's order as a contiguous (C, H, W) array of `shape`."""
    _check_sizes(descriptor, shape)
    axes = order(descriptor)
    return np.ascontiguousarray(tensor.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes)))


def _check_sizes(descriptor, shape):
    if descriptor is not None and _sizes(descriptor) != tuple(shape):
        raise MvncError(
            Status.INVALID_PARAMETERS,
            f"the descriptor of the host has {_sizes(descriptor)} (C, H, W), the graph {tuple(shape)}",
        )


def _sizes(descriptor):
    return descriptor.c, descriptor.h, descriptor.w


def _strides(descriptor):
    return descriptor.cStride, descriptor.hStride, descriptor.wStride
