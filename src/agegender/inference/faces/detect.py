"""Detect faces and their landmarks in photographs.

Runs on the target device (Python 3.7, numpy, OpenCV 4.8 or newer).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import yunet

THRESHOLD = 0.8  # minimum score of a face
# Default minimum width of a face: a 60th of the longer side of the image, but at least 20 pixels.
MIN_FACE_DIVISOR, MIN_FACE_PIXELS = 60, 20
# Face widths in pixels that the net detects reliably (measured, docs/adr/0007). Smaller faces are enlarged.
RELIABLE_WIDTHS = (36, 400)
_STEP = 4  # each pyramid level is a fourth of the size of the previous one
# To save memory, levels longer than _MAX_TILE pixels are processed in tiles. Tiles overlap by the width of a face
# that is too small for the next level, where it is a fourth as large.
_MAX_TILE, _OVERLAP = 2048, 200
_MAX_SCALE = 3.0
_X_COLUMNS, _Y_COLUMNS = [0, 4, 6, 8, 10, 12], [1, 5, 7, 9, 11, 13]  # of YuNet's rows


# Images of at most TIGHT_SIDE pixels without a face may be tight crops: they get a border and a second look.
TIGHT_SIDE, TIGHT_BORDER = 640, 0.3


@dataclass(frozen=True)
class Face:
    """A detected face.

    Attributes
    ----------
    box : tuple of int
        (left, top, right, bottom) in pixels; right and bottom are exclusive. May extend beyond the image.
    score : float
        0..1
    landmarks : float32 array of shape (5, 2)
        x and y of the left eye, right eye, nose, left and right corner of the mouth; left and right as in the image.
    """

    box: tuple
    score: float
    landmarks: np.ndarray

    @property
    def area(self) -> int:
        """Area of the box in pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


class Detector:
    """Face detector for photographs of any size; may be shared by threads.

    Parameters
    ----------
    threshold : float
        Minimum score of a face, between 0 and 1.
    min_face : float, optional
        Minimum width of a face in pixels; depends on the image size by default.

    Raises
    ------
    AgeGenderError
        If a parameter is out of range or the net cannot be loaded.
    """

    def __init__(self, threshold: float = THRESHOLD, min_face: float | None = None):
        if not 0 < threshold < 1:
            raise AgeGenderError(f"expected a threshold between 0 and 1, received {threshold:g}")
        if min_face is not None and min_face < 1:
            raise AgeGenderError(f"expected a minimum face width of at least 1 pixel, received {min_face:g}")
        self.threshold, self.min_face = threshold, min_face
        self._thread_local = threading.local()
        self._net()

    def find(self, image: np.ndarray) -> list[Face]:
        """Detect the faces of an image, largest first.

        Parameters
        ----------
        image : uint8 array of shape (H, W, 3) in BGR, (H, W, 4) in BGRA, or (H, W)
        """
        image = _three_channels(image)
        faces = self._find(image)
        if faces or max(image.shape[:2]) > TIGHT_SIDE:
            return faces
        border = int(TIGHT_BORDER * max(image.shape[:2]))  # a crop so tight that the face is cut off
        framed = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)
        return [_moved(face, -border) for face in self._find(framed)]

    def _find(self, image):
        rows = [self._detect_level(image, scale) for scale in scales(image.shape, self.min_face)]
        kept = _suppress_overlaps(np.concatenate(rows))
        if self.min_face is not None:
            kept = kept[kept[:, 2] >= self.min_face]
        faces = [_face(row) for row in kept]
        return sorted(faces, key=lambda face: (-face.area, face.box))

    def _net(self):
        if not hasattr(self._thread_local, "net"):
            self._thread_local.net = yunet.YuNet(self.threshold)
        return self._thread_local.net

    def _detect_level(self, image, scale):
        """Detections (N, 16) at one scale: YuNet's rows in pixels of the image, and whether each is reliable."""
        level = _resized(image, scale)
        height, width = level.shape[:2]
        detections = [np.zeros((0, 16), np.float32)]
        for top, bottom in _tiles(height):
            for left, right in _tiles(width):
                rows = self._net().rows(np.ascontiguousarray(level[top:bottom, left:right]))
                rows[:, _X_COLUMNS] += left
                rows[:, _Y_COLUMNS] += top
                detections.append(np.c_[rows, _is_reliable(rows, (left, top, right, bottom), (width, height))])
        rows = np.concatenate(detections)
        rows[:, [*_X_COLUMNS, 2]] *= image.shape[1] / width
        rows[:, [*_Y_COLUMNS, 3]] *= image.shape[0] / height
        return rows


def _moved(face, offset):
    """A Face with all coordinates moved by `offset` pixels."""
    return Face(tuple(value + offset for value in face.box), face.score, face.landmarks + np.float32(offset))


def _is_reliable(rows, tile, size):
    """Whether a face has a width the net detects reliably and is not cut by an inner edge of the tile."""
    left, top, right, bottom = tile
    reliable = (rows[:, 2] >= RELIABLE_WIDTHS[0]) & (rows[:, 2] <= RELIABLE_WIDTHS[1])
    reliable &= (rows[:, 0] >= left + 4) | (left == 0)
    reliable &= (rows[:, 1] >= top + 4) | (top == 0)
    reliable &= (rows[:, 0] + rows[:, 2] <= right - 4) | (right == size[0])
    return reliable & ((rows[:, 1] + rows[:, 3] <= bottom - 4) | (bottom == size[1]))


def scales(shape: tuple, min_face: float | None = None) -> list[float]:
    """Scale factors of the image pyramid for an image of `shape`, finest first.

    The pyramid covers faces from `min_face` pixels in width to the size of the image.
    """
    longer = max(shape[:2])
    if min_face is None:
        min_face = min_face_width(shape)
    factors = [min(_MAX_SCALE, RELIABLE_WIDTHS[0] / min_face)]
    while factors[-1] * longer > RELIABLE_WIDTHS[1] * 1.2:
        factors.append(factors[-1] / _STEP)
    return factors


def min_face_width(shape: tuple, divisor: float = MIN_FACE_DIVISOR) -> float:
    """Default minimum width of a face in pixels for an image of `shape` (H, W, ...)."""
    return max(MIN_FACE_PIXELS, max(shape[:2]) / divisor)


def _three_channels(image):
    if image.ndim == 2 or image.shape[2] == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return image[:, :, :3]


def _resized(image, scale):
    size = [max(1, int(round(scale * side))) for side in image.shape[1::-1]]
    return cv2.resize(image, tuple(size), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _tiles(length):
    """(start, stop) of the fewest tiles that cover a side, of equal length, overlapping by _OVERLAP pixels."""
    count = max(1, -(-(length - _OVERLAP) // (_MAX_TILE - _OVERLAP)))
    size = -(-(length + (count - 1) * _OVERLAP) // count)
    starts = [min(i * (size - _OVERLAP), length - size) for i in range(count)]
    return [(start, start + size) for start in starts]


def _suppress_overlaps(rows):
    """Keep one row per face: reliable detections first, then the highest score."""
    order = np.lexsort((-rows[:, 14], -rows[:, 15]))
    kept: list[np.ndarray] = []
    for row in rows[order]:
        if not any(_same_face(row, other) for other in kept):
            kept.append(row)
    return np.array(kept).reshape(-1, rows.shape[1])


def _same_face(one, other):
    """Whether two boxes overlap by 30 % of their union or by most of the smaller one."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return False
    intersection, areas = width * height, (one[2] * one[3], other[2] * other[3])
    return intersection > yunet.OVERLAP * (sum(areas) - intersection) or intersection > 0.7 * min(areas)


def _face(row):
    left, top, width, height = row[:4]
    box = int(round(left)), int(round(top)), int(round(left + width)), int(round(top + height))
    return Face(box, float(row[14]), row[4:14].reshape(5, 2).astype(np.float32))
