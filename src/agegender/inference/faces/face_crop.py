"""Crop faces from images, by their boxes or aligned by their landmarks.

A box is (left, top, right, bottom) in pixels; right and bottom are exclusive. Landmarks are five (x, y): left eye,
right eye, nose, left and right corner of the mouth; left and right as in the image. Runs on the target device
(Python 3.7, numpy, OpenCV).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from agegender.errors import AgeGenderError

SIDE = 200  # width and height of an aligned face in pixels, as in UTKFace
# Mean landmarks of aligned faces, as fractions of width and height: detected in 250 faces of UTKFace and their mirror
# images, and in the mean face of Adience that Levi and Hassner released.
UTKFACE = ((0.293, 0.281), (0.687, 0.281), (0.488, 0.505), (0.324, 0.676), (0.657, 0.676))
ADIENCE = ((0.390, 0.314), (0.623, 0.314), (0.506, 0.460), (0.416, 0.581), (0.600, 0.581))


def whole(image: np.ndarray) -> tuple:
    """Box of the whole image."""
    height, width = image.shape[:2]
    return 0, 0, width, height


def squared(box: tuple) -> tuple:
    """Extend the shorter side by int(difference / 2) at both ends; an odd difference leaves it a pixel short."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    longer = max(width, height)
    dx, dy = int((longer - width) / 2), int((longer - height) / 2)
    return left - dx, top - dy, right + dx, bottom + dy


def clamped(box: tuple, shape: tuple) -> tuple:
    """Intersection of a box with an image of `shape` (H, W, ...); AgeGenderError if it is empty."""
    height, width = shape[:2]
    left, top, right, bottom = box
    inside = max(0, left), max(0, top), min(width, right), min(height, bottom)
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise AgeGenderError(f"box {tuple(box)} is outside the image, {width}x{height} pixels")
    return inside


def widened(box: tuple, margin: float) -> tuple:
    """Add `margin` times its width and height on every side of a box (0.4 makes it 1.8 times as large)."""
    left, top, right, bottom = box
    dx, dy = int(round(margin * (right - left))), int(round(margin * (bottom - top)))
    return left - dx, top - dy, right + dx, bottom + dy


def cut(image: np.ndarray, box: tuple, margin: float = 0.0) -> np.ndarray:
    """Crop a box with a margin; parts beyond the image repeat its border.

    Parameters
    ----------
    image : uint8 array of shape (H, W, C) or (H, W)
    box : tuple
        Must overlap the image.
    margin : float
        Fraction of the width and height of the box to add on every side.
    """
    clamped(box, image.shape)
    height, width = image.shape[:2]
    left, top, right, bottom = widened(box, margin)
    inside = image[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
    borders = max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width)
    return cv2.copyMakeBorder(inside, *borders, borderType=cv2.BORDER_REPLICATE)


def aligned(
    image: np.ndarray, landmarks: np.ndarray, template: Sequence | None = None, margin: float = 0.0
) -> np.ndarray:
    """Crop an upright face, rotated, scaled and shifted like the faces a net was trained on.

    Parameters
    ----------
    image : uint8 array of shape (H, W, C) or (H, W)
    landmarks : array of shape (5, 2)
        Landmarks of the face in pixels of the image.
    template : array-like of shape (5, 2), optional
        Landmarks of the aligned face, as fractions of its side; UTKFACE by default.
    margin : float
        Fraction of the side of the aligned face to show beyond it on every side.

    Returns
    -------
    uint8 array
        (1 + 2 margin) * SIDE pixels in width and height, with the channels of `image`. Parts beyond the image repeat
        its border.
    """
    matrix = similarity(landmarks, SIDE * (np.array(template or UTKFACE) + margin))
    side = int(round((1 + 2 * margin) * SIDE))
    factor = max(1, int(round(1 / np.hypot(*matrix[0, :2]))))  # large faces are averaged, not subsampled
    matrix = factor * matrix
    matrix[:, 2] += (factor - 1) / 2  # a pixel's center maps to the center of its block of factor x factor pixels
    large = cv2.warpAffine(
        image, matrix, (factor * side, factor * side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return large if factor == 1 else cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)


def similarity(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Least-squares similarity transform without reflection (Umeyama, IEEE PAMI 1991).

    Parameters
    ----------
    points, targets : arrays of shape (N, 2)

    Returns
    -------
    float64 array of shape (2, 3)
        Rotation, scale and shift that map `points` as closely as possible to `targets`.

    Raises
    ------
    AgeGenderError
        If all points coincide.
    """
    points, targets = np.asarray(points, np.float64), np.asarray(targets, np.float64)
    center, target_center = points.mean(0), targets.mean(0)
    x, y = (points - center).T
    u, v = (targets - target_center).T
    spread = (x * x + y * y).sum()
    if not spread > 0:
        raise AgeGenderError(f"cannot align a face whose landmarks all coincide at ({center[0]:g}, {center[1]:g})")
    a, b = (x * u + y * v).sum() / spread, (x * v - y * u).sum() / spread
    rotation = np.array([[a, -b], [b, a]])
    return np.c_[rotation, target_center - rotation @ center]


def line(index: int, gender: str, age: str) -> str:
    """The line that the ONNX model zoo's scripts print for a face: `Box 0 --> Female, 31.4`."""
    return f"Box {index} --> {gender}, {age}"
