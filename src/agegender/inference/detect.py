"""Faces in a photograph: where they are and where their eyes, noses and mouths lie.

It ships to the board (Python 3.7, numpy, OpenCV 4.8 or newer).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import yunet

THRESHOLD = 0.8  # score below which nothing counts as a face
SHARE = 60  # unless told otherwise, faces of a 60th of the longer side and more are looked for,
LEAST = 20  # but none narrower than this many pixels
# Widths in pixels at which the net sees faces well (measured: docs/adr/0007). Smaller faces are enlarged to the first.
GOOD = (36, 400)
_STEP = 4  # each coarser view is a fourth of the one before
# Views longer than _MOST pixels are looked at in parts, to save memory. Parts share what a face needs that the next view,
# where it is a fourth as large, would no longer see well.
_MOST, _SHARED = 2048, 200
_LARGEST_SCALE = 3.0
XS, YS = [0, 4, 6, 8, 10, 12], [1, 5, 7, 9, 11, 13]  # columns of YuNet's rows that are places across and down


@dataclass(frozen=True)
class Face:
    """A face: `box` (left, top, right, bottom; whole pixels, right and bottom outside), `score` 0..1, `landmarks`.

    `landmarks` is float32 (5, 2): x and y of the left and the right eye, as the picture shows them, of the nose, of the
    left and right corner of the mouth. A box may reach out of the picture.
    """

    box: tuple
    score: float
    landmarks: np.ndarray

    @property
    def area(self):
        """Square pixels."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


class Detector:
    """Finds faces of at least `least` pixels in width (None: by the picture's size) and a score of `threshold`.

    One Detector serves any number of threads. Raises AgeGenderError when the net cannot be loaded.
    """

    def __init__(self, threshold=THRESHOLD, least=None):
        if not 0 < threshold < 1:
            raise AgeGenderError(f"a face's score lies between 0 and 1; received a threshold of {threshold:g}")
        if least is not None and least < 1:
            raise AgeGenderError(f"the narrowest face must be at least 1 pixel wide, received {least:g}")
        self.threshold, self.least = threshold, least
        self._of_thread = threading.local()
        self._net()

    def find(self, picture):
        """The Faces of a uint8 picture (H, W, 3), (H, W, 4) or (H, W), blue first; the largest first."""
        picture = _three_channels(picture)
        rows = [self._look(picture, scale) for scale in scales(picture.shape, self.least)]
        kept = _without_doubles(np.concatenate(rows))
        if self.least is not None:
            kept = kept[kept[:, 2] >= self.least]
        faces = [_face(row) for row in kept]
        return sorted(faces, key=lambda face: (-face.area, face.box))

    def _net(self):
        if not hasattr(self._of_thread, "net"):
            self._of_thread.net = yunet.YuNet(self.threshold)
        return self._of_thread.net

    def _look(self, picture, scale):
        """Rows (N, 16) of one view: YuNet's, in the picture's pixels, and whether the net saw that face well."""
        view = _resized(picture, scale)
        height, width = view.shape[:2]
        parts = [np.zeros((0, 16), np.float32)]
        for top, bottom in _parts(height):
            for left, right in _parts(width):
                rows = self._net().rows(np.ascontiguousarray(view[top:bottom, left:right]))
                rows[:, XS] += left
                rows[:, YS] += top
                parts.append(np.c_[rows, _seen_well(rows, (left, top, right, bottom), (width, height))])
        rows = np.concatenate(parts)
        rows[:, [*XS, 2]] *= picture.shape[1] / width
        rows[:, [*YS, 3]] *= picture.shape[0] / height
        return rows


def _seen_well(rows, part, size):
    """Whether a face is as wide as the net likes it, and whole: an edge where the part ends and the view goes on cuts none."""
    left, top, right, bottom = part
    good = (rows[:, 2] >= GOOD[0]) & (rows[:, 2] <= GOOD[1])
    good &= (rows[:, 0] >= left + 4) | (left == 0)
    good &= (rows[:, 1] >= top + 4) | (top == 0)
    good &= (rows[:, 0] + rows[:, 2] <= right - 4) | (right == size[0])
    return good & ((rows[:, 1] + rows[:, 3] <= bottom - 4) | (bottom == size[1]))


def scales(shape, least=None):
    """Factors by which a picture of `shape` is resized to find faces from `least` pixels up to the whole picture."""
    longer = max(shape[:2])
    if least is None:
        least = least_of(shape)
    found = [min(_LARGEST_SCALE, GOOD[0] / least)]
    while found[-1] * longer > GOOD[1] * 1.2:
        found.append(found[-1] / _STEP)
    return found


def least_of(shape, share=SHARE):
    """Width of the narrowest face that is looked for in a picture of `shape`, or of that longer side."""
    return max(LEAST, max(shape[:2]) / share)


def _three_channels(picture):
    if picture.ndim == 2 or picture.shape[2] == 1:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return picture[:, :, :3]


def _resized(picture, scale):
    size = [max(1, int(round(scale * side))) for side in picture.shape[1::-1]]
    return cv2.resize(picture, tuple(size), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def _parts(length):
    """(begin, end) of the parts of a side: as few as may be, equally long, each sharing _SHARED pixels with the next."""
    count = max(1, -(-(length - _SHARED) // (_MOST - _SHARED)))
    long = -(-(length + (count - 1) * _SHARED) // count)
    begins = [min(i * (long - _SHARED), length - long) for i in range(count)]
    return [(begin, begin + long) for begin in begins]


def _without_doubles(rows):
    """One row a face: that of a view which saw it well, then that with the best score."""
    order = np.lexsort((-rows[:, 14], -rows[:, 15]))
    kept = []
    for row in rows[order]:
        if not any(_same(row, other) for other in kept):
            kept.append(row)
    return np.array(kept).reshape(-1, rows.shape[1])


def _same(one, other):
    """Whether two boxes are of one face: they share 30 % of their union, or most of the smaller one."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return False
    shared, areas = width * height, (one[2] * one[3], other[2] * other[3])
    return shared > yunet.OVERLAP * (sum(areas) - shared) or shared > 0.7 * min(areas)


def _face(row):
    left, top, width, height = row[:4]
    box = int(round(left)), int(round(top)), int(round(left + width)), int(round(top + height))
    return Face(box, float(row[14]), row[4:14].reshape(5, 2).astype(np.float32))
