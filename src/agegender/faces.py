"""Boxes of faces and the pictures cut out of them. It ships to the board (Python 3.7, numpy, OpenCV).

A box is (left, top, right, bottom) in pixels; right and bottom are outside of it.
"""

from __future__ import annotations

import cv2

from agegender.errors import AgeGenderError


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


def line(index, gender, age):
    """What the ONNX model zoo's scripts print for a face: `Box 0 --> Female, 31.4`."""
    return "Box %d --> %s, %s" % (index, gender, age)
