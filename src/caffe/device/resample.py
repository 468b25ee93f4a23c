"""Resampling of float arrays as in scikit-image and SciPy, which pycaffe used; NumPy only."""

from __future__ import annotations

import numpy as np


def half_pixel(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, …) to `size` = (height, width) as skimage's resize(order=1, mode="constant").

    Pixel centres are at half-integers, the outside is 0 and there is no anti-aliasing, as in the scikit-image of
    Caffe's time. Later versions need anti_aliasing=False for the same result.
    """
    for axis, length in enumerate(size):
        step = image.shape[axis] / length
        image = _sample(image, axis, (np.arange(length) + 0.5) * step - 0.5)
    return image


def corner_aligned(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, …) to `size` as scipy.ndimage.zoom(order=1): the centres of corner pixels stay aligned."""
    for axis, length in enumerate(size):
        step = (image.shape[axis] - 1) / (length - 1) if length > 1 else 0.0
        image = _sample(image, axis, np.arange(length) * step)
    return image


def nearest(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, …) to `size` with nearest-neighbour interpolation."""
    for axis, length in enumerate(size):
        indices = np.floor((np.arange(length) + 0.5) * (image.shape[axis] / length)).astype(int)
        image = image.take(indices, axis)
    return image


def _sample(image: np.ndarray, axis: int, coordinates: np.ndarray) -> np.ndarray:
    """Interpolate linearly along one axis; values outside the image are 0."""
    length = image.shape[axis]
    low = np.floor(coordinates).astype(int)
    fraction = coordinates - low
    shape = [-1 if a == axis else 1 for a in range(image.ndim)]

    def weighted(index: np.ndarray, weight: np.ndarray) -> np.ndarray:
        weight = np.where((index >= 0) & (index < length), weight, 0.0).astype(image.dtype)
        return image.take(np.clip(index, 0, length - 1), axis) * weight.reshape(shape)

    return weighted(low, 1.0 - fraction) + weighted(low + 1, fraction)
