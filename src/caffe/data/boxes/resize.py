"""resize_param: to a fixed size, with or without keeping the aspect ratio; the boxes follow."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from caffe.data.boxes.record import CORNERS
from caffe.errors import CaffeError

_INTERPOLATION = {
    "LINEAR": cv2.INTER_LINEAR,
    "AREA": cv2.INTER_AREA,
    "NEAREST": cv2.INTER_NEAREST,
    "CUBIC": cv2.INTER_CUBIC,
    "LANCZOS4": cv2.INTER_LANCZOS4,
}
_BORDER = {
    "CONSTANT": cv2.BORDER_CONSTANT,
    "MIRRORED": cv2.BORDER_REFLECT_101,
    "REPEAT_NEAREST": cv2.BORDER_REPLICATE,
}


def new_size(param: Any, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the (height, width) that an image of `shape` (height, width, …) gets."""
    if min(param.height, param.width) < 1:
        raise CaffeError(f"resize_param needs height and width, received {param.height} and {param.width}")
    if param.resize_mode != param.FIT_SMALL_SIZE:
        return param.height, param.width
    aspect = shape[1] / shape[0]
    if aspect < param.width / param.height:
        return math.floor(param.width / aspect), param.width
    return param.height, math.floor(aspect * param.height)


def resize(image: np.ndarray, boxes: np.ndarray, param: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Resize an image (H, W, C) by resize_param; its boxes (n, 7) move if it is padded.

    One of the interpolation modes is chosen at random; the default is LINEAR.
    """
    modes = [type(param).Interp_mode.Name(mode) for mode in param.interp_mode] or ["LINEAR"]
    mode = _INTERPOLATION[modes[rng.integers(len(modes))] if len(modes) > 1 else modes[0]]
    height, width = new_size(param, image.shape)
    if param.resize_mode != param.FIT_LARGE_SIZE_AND_PAD:
        return cv2.resize(image, (width, height), interpolation=mode), boxes
    aspect = image.shape[1] / image.shape[0]
    if aspect > width / height:
        inner = (max(math.floor(width / aspect), 1), width)
    else:
        inner = (height, max(math.floor(aspect * height), 1))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    small = cv2.resize(image, inner[::-1], interpolation=mode)
    border = _BORDER[type(param).Pad_mode.Name(param.pad_mode)]
    ends = (height - inner[0] - top, width - inner[1] - left)
    values = list(param.pad_value) or [0]
    fill = (values * 4)[:4] if len(values) == 1 else values
    padded = cv2.copyMakeBorder(small, top, ends[0], left, ends[1], border, value=fill)
    moved = boxes.copy()
    part, start = _inner(param, image.shape[:2])
    moved[:, CORNERS] = boxes[:, CORNERS] * np.tile(part, 2) + np.tile(start, 2)
    return padded, moved


def unpadded(boxes: np.ndarray, param: Any, size: tuple[int, int]) -> np.ndarray:
    """Return boxes (n, 4) of a padded image (FIT_LARGE_SIZE_AND_PAD) as fractions of the image of `size`."""
    part, start = _inner(param, size)
    return (boxes - np.tile(start, 2)) / np.tile(part, 2)


def _inner(param, size):
    """Return (width, height) of the image in the padded one, and its (left, top), as fractions."""
    aspect, target = size[1] / size[0], param.width / param.height
    part = np.array([1.0, target / aspect] if aspect > target else [aspect / target, 1.0], np.float32)
    return part, (1 - part) / 2
