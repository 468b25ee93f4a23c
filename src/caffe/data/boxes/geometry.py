"""Boxes (xmin, ymin, xmax, ymax) relative to a window: coverage, projection and clipping."""

from __future__ import annotations

import numpy as np

from caffe.data.boxes.record import CORNERS

UNIT = np.array([0.0, 0.0, 1.0, 1.0], np.float32)


def intersections(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the areas that `box` (4) shares with `others` (n, 4)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    return np.prod(np.maximum(high - low, 0), axis=1)


def areas(boxes: np.ndarray) -> np.ndarray:
    """Return the areas of boxes (..., 4)."""
    return np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return numerator / denominator, and 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def project(window: np.ndarray, boxes: np.ndarray, emit: object = None) -> np.ndarray:
    """Return the boxes (n, 7) in the coordinates of `window` (4), clipped to it; boxes outside are dropped.

    With an EmitConstraint `emit`, a box is also dropped if its center is outside, or if the window covers no more than
    emit_overlap of it.
    """
    corners = boxes[:, CORNERS]
    size = np.tile(window[2:] - window[:2], 2)
    inside = np.clip((corners - np.tile(window[:2], 2)) / size, 0, 1)
    kept = areas(inside) > 0
    if emit is not None:
        kept &= _emitted(window, corners, emit)
    out = boxes[kept].copy()
    out[:, CORNERS] = inside[kept]
    return out


def _emitted(window, corners, emit):
    if emit.emit_type == emit.MIN_OVERLAP:
        return ratio(intersections(window, corners), areas(corners)) > emit.emit_overlap
    centers = (corners[:, :2] + corners[:, 2:]) / 2
    return ((centers >= window[:2]) & (centers <= window[2:])).all(1)


def mirrored(boxes: np.ndarray) -> np.ndarray:
    """Return the boxes (n, 7) of the image whose left and right are exchanged."""
    out = boxes.copy()
    out[:, 2], out[:, 4] = 1 - boxes[:, 4], 1 - boxes[:, 2]
    return out
