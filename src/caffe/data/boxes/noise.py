"""SSD's noise_param: fixed changes of an image (grey, blur, equalized histograms, JPEG, fewer colours) and noise."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

_POSTERIZE = 64  # width of a level of brightness
_NOT_IMPLEMENTED = ("convert_to_lab", "gaussian_std", "uniform_range", "bias", "mu", "sigma")


def missing(param: Any) -> list[str]:
    """Return the fields of a NoiseParameter that are set and not implemented."""
    return [name for name in _NOT_IMPLEMENTED if param.HasField(name) and getattr(param, name)]


def apply(image: np.ndarray, param: Any, rng: np.random.Generator) -> np.ndarray:
    """Return `image` (H, W or H, W, 3; uint8, BGR) with the changes of a NoiseParameter, in SSD's order."""
    color = image.ndim == 3
    if param.decolorize and color:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if param.gauss_blur:
        image = cv2.GaussianBlur(image, (7, 7), 1.5)
    if param.hist_eq:
        image = _on_brightness(image, cv2.equalizeHist)
    if param.clahe:
        image = _on_brightness(image, cv2.createCLAHE(clipLimit=4).apply)
    if param.jpeg > 0:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(param.jpeg)])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE))
    if param.erode:
        image = cv2.erode(image, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    if param.posterize:
        image = image // _POSTERIZE * _POSTERIZE + _POSTERIZE // 2
    if param.inverse:
        image = 255 - image
    if param.saltpepper:
        image = _salted(image, param.saltpepper_param, rng)
    if param.convert_to_hsv and color:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    return image


def _on_brightness(image, change):
    """Change the brightness, which is the first channel of YCrCb."""
    if image.ndim == 2:
        return change(image)
    parts = cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)
    parts[..., 0] = change(np.ascontiguousarray(parts[..., 0]))
    return cv2.cvtColor(parts, cv2.COLOR_YCrCb2BGR)


def _salted(image, param, rng):
    """Set a fraction of the pixels, drawn with replacement, to the values of a SaltPepperParameter."""
    height, width = image.shape[:2]
    count = int(param.fraction * height * width)
    image = image.copy()
    image[rng.integers(height, size=count), rng.integers(width, size=count)] = np.array(param.value or [0]).astype(
        np.uint8
    )
    return image
