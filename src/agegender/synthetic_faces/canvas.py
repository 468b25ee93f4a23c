"""A chip of 200x200 pixels, drawn at twice the size in the coordinates of the face and then shrunk.

Face coordinates: the origin lies between the cheeks, x to the right, y down, in pixels of the chip before the
head is scaled, tilted and moved. What lies on the front of the face also slides sideways as the head turns.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

SIZE = 200
OVER = 2  # supersampling
COARSE = 100  # soft light and shade are computed on so many pixels
_SHIFT = 4  # fractional bits of OpenCV's coordinates


class Canvas:
    """Pixels and the place of the head: matrix 2x3 from face coordinates to the chip, turn in pixels."""

    def __init__(self, background, matrix, turn, half_width):
        self.pixels = background  # (SIZE * OVER)^2 x 3, uint8, BGR
        self.matrix = np.asarray(matrix, np.float64)
        self.turn, self.half_width = turn, half_width

    def front(self, points):
        """Points on the front of the face, moved as the head turns: most in the middle, not at the rim."""
        moved = np.array(points, np.float64)
        moved[..., 0] += self.turn * np.sqrt(np.maximum(1 - (moved[..., 0] / self.half_width) ** 2, 0))
        return moved

    def _fixed(self, points):
        points = np.asarray(points, np.float64)
        pixels = (points @ self.matrix[:, :2].T + self.matrix[:, 2]) * OVER
        return np.rint(pixels * 2**_SHIFT).astype(np.int32)

    def fill(self, points, colour, into=None):
        """A filled polygon; `into` another picture of the same size."""
        target = self.pixels if into is None else into
        cv2.fillPoly(target, [self._fixed(points)], _scalar(colour), cv2.LINE_AA, _SHIFT)

    def lines(self, curves, colour, width, into=None):
        """Open curves of one colour (a list, or an array k x n x 2); width in pixels of the chip."""
        target = self.pixels if into is None else into
        scale = float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))
        thickness = max(1, int(round(width * scale * OVER)))
        fixed = list(self._fixed(curves)) if isinstance(curves, np.ndarray) else [self._fixed(c) for c in curves]
        cv2.polylines(target, fixed, False, _scalar(colour), thickness, cv2.LINE_AA, _SHIFT)

    def mask(self, points):
        """uint8 picture, 255 inside the polygon."""
        mask = np.zeros(self.pixels.shape[:2], np.uint8)
        self.fill(points, (255,), mask)
        return mask

    def paste(self, picture, mask):
        """Put `picture` where `mask` is set."""
        cv2.copyTo(picture, mask, self.pixels)

    def blend(self, colour, alpha):
        """Move the pixels towards `colour` by alpha (float32 0..1, full size)."""
        rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
        if rows.size == 0:
            return
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        below = self.pixels[box].astype(np.float32)
        below += (np.asarray(colour, np.float32) - below) * alpha[box][..., None]
        self.pixels[box] = below.astype(np.uint8)

    def coarse_grid(self):
        """Face coordinates (x, y) of a COARSE x COARSE raster over the chip, float32."""
        step = SIZE / COARSE
        centres = (np.arange(COARSE, dtype=np.float32) + 0.5) * step
        u, v = np.meshgrid(centres, centres)
        inverse = cv2.invertAffineTransform(self.matrix)
        x = inverse[0, 0] * u + inverse[0, 1] * v + inverse[0, 2]
        y = inverse[1, 0] * u + inverse[1, 1] * v + inverse[1, 2]
        return x.astype(np.float32), y.astype(np.float32)

    def enlarge(self, coarse):
        """A coarse raster at the size of the canvas."""
        return cv2.resize(coarse, (SIZE * OVER, SIZE * OVER), interpolation=cv2.INTER_LINEAR)

    def shrunk(self):
        """The chip, SIZE x SIZE x 3."""
        return cv2.resize(self.pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def ellipse(x, y, rx, ry, start=0.0, stop=360.0, count=28):
    """Points on an ellipse, angles in degrees from the right, clockwise as seen."""
    angle = np.radians(np.linspace(start, stop, count))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def smooth(points, count=24):
    """A Catmull-Rom curve through `points` (... x n x 2), `count` points in all."""
    points = np.asarray(points, np.float64)
    return _catmull_rom(points.shape[-2], count) @ points


@functools.cache
def _catmull_rom(given, count):
    """Matrix count x given of the curve, whose ends go on straight."""
    padded = np.concatenate([np.zeros((1, given)), np.eye(given), np.zeros((1, given))])
    padded[0, :2] = padded[-1, :-3:-1] = (2, -1)
    at = np.linspace(0, given - 1, count)
    index = np.minimum(at.astype(int), given - 2)
    t = (at - index)[:, None]
    p0, p1, p2, p3 = (padded[index + k] for k in range(4))
    return 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * (p1 - p2) + p3 - p0) * t**3)


def mirrored(points):
    """The same points on the other side of the face."""
    return np.asarray(points, np.float64) * (-1, 1)


def _scalar(colour):
    return tuple(min(max(float(value), 0.0), 255.0) for value in colour)
