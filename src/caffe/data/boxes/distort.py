"""SSD's random changes of colours, and the random extension of an image by its mean."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np


def distort(image: np.ndarray, param: Any, rng: np.random.Generator) -> np.ndarray:
    """Return `image` (H, W, 3; uint8) with the random brightness, contrast, saturation and hue of distort_param."""
    steps = [_brightness, _contrast, _saturation, _hue]
    if rng.random() <= 0.5:
        steps = [_brightness, _saturation, _hue, _contrast]
    for step in steps:
        image = step(image, param, rng)
    if rng.random() < param.random_order_prob and image.ndim == 3:
        image = np.ascontiguousarray(image[..., rng.permutation(image.shape[2])])
    return image


def _linear(image, factor, offset):
    return np.clip(np.rint(image * np.float32(factor) + np.float32(offset)), 0, 255).astype(np.uint8)


def _brightness(image, param, rng):
    if rng.random() >= param.brightness_prob:
        return image
    return _linear(image, 1, rng.uniform(-param.brightness_delta, param.brightness_delta))


def _contrast(image, param, rng):
    if rng.random() >= param.contrast_prob:
        return image
    return _linear(image, rng.uniform(param.contrast_lower, param.contrast_upper), 0)


def _saturation(image, param, rng):
    if rng.random() >= param.saturation_prob:
        return image
    return _in_hsv(image, 1, rng.uniform(param.saturation_lower, param.saturation_upper), 0)


def _hue(image, param, rng):
    if rng.random() >= param.hue_prob:
        return image
    return _in_hsv(image, 0, 1, rng.uniform(-param.hue_delta, param.hue_delta))


def _in_hsv(image, channel, factor, offset):
    if image.ndim != 3 or image.shape[2] != 3:
        return image
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hsv[..., channel] = _linear(hsv[..., channel], factor, offset)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def expand(
    image: np.ndarray, param: Any, mean: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Place `image` at random in a larger one, up to max_expand_ratio times as large, filled with `mean`.

    Returns
    -------
    ndarray (H, W, C), ndarray (4)
        The image, and its window in the coordinates of the former image.
    """
    factor = rng.uniform(1, max(param.max_expand_ratio, 1)) if rng.random() <= param.prob else 1.0
    height, width = image.shape[:2]
    new_height, new_width = int(height * factor), int(width * factor)
    if abs(param.max_expand_ratio - 1) < 1e-2 or (new_height, new_width) == (height, width):
        return image, np.array([0, 0, 1, 1], np.float32)
    top, left = int(rng.uniform(0, new_height - height)), int(rng.uniform(0, new_width - width))
    out = np.zeros((new_height, new_width, *image.shape[2:]), image.dtype)
    if mean is not None:
        out[...] = np.clip(mean.mean(axis=(1, 2)) if mean.ndim == 3 else mean, 0, 255)
    out[top : top + height, left : left + width] = image
    window = [-left / width, -top / height, (new_width - left) / width, (new_height - top) / height]
    return out, np.array(window, np.float32)
