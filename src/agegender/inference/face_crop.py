"""Boxes of faces and the pictures cut out of them. It ships to the board (Python 3.7, numpy, OpenCV).

A box is (left, top, right, bottom) in pixels; right and bottom are outside of it. Landmarks are five (x, y): left eye, right
eye, nose, left and right corner of the mouth, as the picture shows them.
"""

from __future__ import annotations

import cv2
import numpy as np

from agegender.errors import AgeGenderError

SIDE = 200  # pixels of an aligned chip, as UTKFace has them
# Where the landmarks lie in aligned faces, as shares of width and height: means over what `agegender.inference.detect` tells of 250 chips
# of UTKFace and their mirror images, and of the mean face of Adience that Levi and Hassner released.
UTKFACE = ((0.293, 0.281), (0.687, 0.281), (0.488, 0.505), (0.324, 0.676), (0.657, 0.676))
ADIENCE = ((0.390, 0.314), (0.623, 0.314), (0.506, 0.460), (0.416, 0.581), (0.600, 0.581))


def whole(picture):
    """The box of a picture that is one aligned face."""
    height, width = picture.shape[:2]
    return 0, 0, width, height


def squared(box):
    """The box widened on its short side by int(difference / 2) at both ends: an odd difference leaves it a pixel short."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    most = max(width, height)
    dx, dy = int((most - width) / 2), int((most - height) / 2)
    return left - dx, top - dy, right + dx, bottom + dy


def clamped(box, shape):
    """The part of a box inside a picture of `shape` (H, W, ...); AgeGenderError when nothing of it is."""
    height, width = shape[:2]
    left, top, right, bottom = box
    inside = max(0, left), max(0, top), min(width, right), min(height, bottom)
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise AgeGenderError("box %s lies outside of the picture, %dx%d" % (tuple(box), width, height))
    return inside


def widened(box, margin):
    """The box with `margin` of its width and height added at every side (0.4: 1.8 times as wide and high)."""
    left, top, right, bottom = box
    dx, dy = int(round(margin * (right - left))), int(round(margin * (bottom - top)))
    return left - dx, top - dy, right + dx, bottom + dy


def cut(picture, box, margin=0.0):
    """A copy of the box with its margin; what leaves the picture repeats the picture's border.

    `picture` is uint8 (H, W, C) or (H, W). The box itself must meet the picture.
    """
    clamped(box, picture.shape)
    height, width = picture.shape[:2]
    left, top, right, bottom = widened(box, margin)
    inside = picture[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
    beyond = max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width)
    return cv2.copyMakeBorder(inside, *beyond, borderType=cv2.BORDER_REPLICATE)


def aligned(picture, landmarks, template=None, margin=0.0):
    """The upright face as the nets saw faces in training: uint8, (1 + 2 margin) * SIDE pixels a side, channels as `picture`.

    Turned, scaled and moved so that `landmarks` (5, 2) come as near as can be to `template` (shares of a chip's side;
    None: UTKFACE); `margin` of the chip's side is shown on each side of it. What leaves the picture repeats its border.
    """
    matrix = similarity(landmarks, SIDE * (np.array(template or UTKFACE) + margin))
    side = int(round((1 + 2 * margin) * SIDE))
    fold = max(1, int(round(1 / np.hypot(*matrix[0, :2]))))  # large faces are averaged down, not sampled
    matrix = fold * matrix
    matrix[:, 2] += (fold - 1) / 2  # the centre of a pixel becomes the centre of its `fold` x `fold` pixels
    large = cv2.warpAffine(
        picture, matrix, (fold * side, fold * side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return large if fold == 1 else cv2.resize(large, (side, side), interpolation=cv2.INTER_AREA)


def similarity(points, targets):
    """The 2x3 matrix of the rotation, scale and shift that brings `points` nearest to `targets`, both (N, 2).

    Least squares over all similarities without reflection (Umeyama, IEEE PAMI 1991). Raises AgeGenderError when the points
    are one.
    """
    points, targets = np.asarray(points, np.float64), np.asarray(targets, np.float64)
    here, there = points.mean(0), targets.mean(0)
    x, y = (points - here).T
    u, v = (targets - there).T
    spread = (x * x + y * y).sum()
    if not spread > 0:
        raise AgeGenderError("landmarks that all lie at ({:g}, {:g}) make no face".format(*tuple(here)))
    a, b = (x * u + y * v).sum() / spread, (x * v - y * u).sum() / spread
    turn = np.array([[a, -b], [b, a]])
    return np.c_[turn, there - turn @ here]


def line(index, gender, age):
    """What the ONNX model zoo's scripts print for a face: `Box 0 --> Female, 31.4`."""
    return "Box %d --> %s, %s" % (index, gender, age)
