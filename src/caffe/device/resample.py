"""Bilinear resampling of float arrays as scikit-image and SciPy do it, which pycaffe used; numpy only."""

from __future__ import annotations

import numpy as np


def half_pixel(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, …) to `size` = (height, width) as skimage's resize(order=1, mode="constant") does.

    Pixels are squares, the outside is 0 and nothing is smoothed first: scikit-image of Caffe's years. Later
    ones smooth by default when an image shrinks; give them anti_aliasing=False to compare.
    """
    for axis, length in enumerate(size):
        step = image.shape[axis] / length
        image = _sample(image, axis, (np.arange(length) + 0.5) * step - 0.5)
    return image


def corner_aligned(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, …) to `size` as scipy.ndimage.zoom(order=1) does: corner pixels keep their centres."""
    for axis, length in enumerate(size):
        step = (image.shape[axis] - 1) / (length - 1) if length > 1 else 0.0
        image = _sample(image, axis, np.arange(length) * step)
    return image


def nearest(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, …) to `size`, every pixel a copy of the nearest one."""
    for axis, length in enumerate(size):
        where = np.floor((np.arange(length) + 0.5) * (image.shape[axis] / length)).astype(int)
        image = image.take(where, axis)
    return image


def _sample(image: np.ndarray, axis: int, where: np.ndarray) -> np.ndarray:
    """Linear interpolation along one axis; beyond the first and the last pixel lies 0."""
    length = image.shape[axis]
    low = np.floor(where).astype(int)
    part = where - low
    shape = [-1 if a == axis else 1 for a in range(image.ndim)]

    def weighted(index: np.ndarray, weight: np.ndarray) -> np.ndarray:
        weight = np.where((index >= 0) & (index < length), weight, 0.0).astype(image.dtype)
        return image.take(np.clip(index, 0, length - 1), axis) * weight.reshape(shape)

    return weighted(low, 1.0 - part) + weighted(low + 1, part)
