"""Canvas of 200x200 pixels, drawn at twice the size in face coordinates and then downscaled.

Face coordinates have their origin between the cheeks, x to the right and y down, in pixels of the final image before
the head is scaled, tilted and shifted. Points on the front of the face also shift sideways when the head turns.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike

SIZE = 200
OVER = 2  # supersampling factor
COARSE = 100  # size at which soft light and shade are computed
_SHIFT = 4  # fractional bits of OpenCV's coordinates


class Canvas:
    """The pixels and the pose of the head.

    Parameters
    ----------
    background : uint8 array of shape (SIZE * OVER, SIZE * OVER, 3), BGR
        Drawn on in place.
    matrix : array of shape (2, 3)
        Maps face coordinates to pixels of the final image.
    turn : float
        Shift of the middle of the face in pixels.
    half_width : float
        Half the width of the face.
    """

    def __init__(self, background: np.ndarray, matrix: np.ndarray, turn: float, half_width: float):
        self.pixels = background
        self.matrix = np.asarray(matrix, np.float64)
        self.turn, self.half_width = turn, half_width

    def front(self, points: ArrayLike) -> np.ndarray:
        """Shift points on the front of the face by the turn of the head: most in the middle, not at all at the rim."""
        shifted = np.array(points, np.float64)
        shifted[..., 0] += self.turn * np.sqrt(np.maximum(1 - (shifted[..., 0] / self.half_width) ** 2, 0))
        return shifted

    def _fixed_point(self, points):
        points = np.asarray(points, np.float64)
        pixels = (points @ self.matrix[:, :2].T + self.matrix[:, 2]) * OVER
        return np.rint(pixels * 2**_SHIFT).astype(np.int32)

    def fill(self, points: ArrayLike, color: ArrayLike, into: np.ndarray | None = None) -> None:
        """Draw a filled polygon on the canvas, or into another image of its size."""
        target = self.pixels if into is None else into
        cv2.fillPoly(target, [self._fixed_point(points)], _scalar(color), cv2.LINE_AA, _SHIFT)

    def lines(
        self, curves: Sequence | np.ndarray, color: ArrayLike, width: float, into: np.ndarray | None = None
    ) -> None:
        """Draw open curves (a list, or an array of shape (K, N, 2)) with a width in pixels of the final image."""
        target = self.pixels if into is None else into
        scale = float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))
        thickness = max(1, int(round(width * scale * OVER)))
        points = (
            list(self._fixed_point(curves))
            if isinstance(curves, np.ndarray)
            else [self._fixed_point(c) for c in curves]
        )
        cv2.polylines(target, points, False, _scalar(color), thickness, cv2.LINE_AA, _SHIFT)

    def mask(self, points: ArrayLike) -> np.ndarray:
        """uint8 mask, 255 inside the polygon."""
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        self.fill(points, (255,), mask)
        return mask

    def paste(self, image: np.ndarray, mask: np.ndarray) -> None:
        """Copy `image` where `mask` is set."""
        cv2.copyTo(image, mask, self.pixels)

    def blend(self, color: ArrayLike, alpha: np.ndarray) -> None:
        """Blend `color` in by alpha (float32, 0..1, size of the canvas)."""
        rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
        if rows.size == 0:
            return
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        below = self.pixels[box].astype(np.float32)
        below += (np.asarray(color, np.float32) - below) * alpha[box][..., None]
        self.pixels[box] = below.astype(np.uint8)

    def coarse_grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Face coordinates x and y of a grid over the image, float32 of shape (COARSE, COARSE)."""
        step = SIZE / COARSE
        centers = (np.arange(COARSE, dtype=np.float32) + 0.5) * step
        u, v = np.meshgrid(centers, centers)
        inverse = cv2.invertAffineTransform(self.matrix)
        x = inverse[0, 0] * u + inverse[0, 1] * v + inverse[0, 2]
        y = inverse[1, 0] * u + inverse[1, 1] * v + inverse[1, 2]
        return x.astype(np.float32), y.astype(np.float32)

    def enlarge(self, coarse: np.ndarray) -> np.ndarray:
        """Upscale a coarse grid to the size of the canvas."""
        return cv2.resize(coarse, (SIZE * OVER, SIZE * OVER), interpolation=cv2.INTER_LINEAR)

    def downscaled(self) -> np.ndarray:
        """The final image, uint8 of shape (SIZE, SIZE, 3)."""
        return cv2.resize(self.pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def ellipse(
    x: float, y: float, rx: float, ry: float, start: float = 0.0, stop: float = 360.0, count: int = 28
) -> np.ndarray:
    """Points on an ellipse, (count, 2); angles in degrees, clockwise from the right."""
    angle = np.radians(np.linspace(start, stop, count))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def smooth(points: ArrayLike, count: int = 24) -> np.ndarray:
    """Catmull-Rom curve through `points` of shape (..., N, 2), sampled at `count` points."""
    points = np.asarray(points, np.float64)
    return _catmull_rom(points.shape[-2], count) @ points


@functools.cache
def _catmull_rom(controls, count):
    """Matrix (count, controls) of the curve; beyond its ends it is extrapolated linearly."""
    padded = np.concatenate([np.zeros((1, controls)), np.eye(controls), np.zeros((1, controls))])
    padded[0, :2] = padded[-1, :-3:-1] = (2, -1)
    position = np.linspace(0, controls - 1, count)
    index = np.minimum(position.astype(int), controls - 2)
    t = (position - index)[:, None]
    p0, p1, p2, p3 = (padded[index + k] for k in range(4))
    return 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * (p1 - p2) + p3 - p0) * t**3)


def mirrored(points: ArrayLike) -> np.ndarray:
    """The same points on the other side of the face."""
    return np.asarray(points, np.float64) * (-1, 1)


def _scalar(color):
    return tuple(min(max(float(value), 0.0), 255.0) for value in color)
