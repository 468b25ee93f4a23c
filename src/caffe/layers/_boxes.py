"""Boxes in NumPy: overlap, non-maximum suppression, and decoding of SSD's offsets."""

from __future__ import annotations

import numpy as np

from caffe.proto import caffe_pb2

CORNER, CENTER_SIZE, CORNER_SIZE = (
    caffe_pb2.PriorBoxParameter.CodeType.Value(name) for name in ("CORNER", "CENTER_SIZE", "CORNER_SIZE")
)


def areas(boxes: np.ndarray) -> np.ndarray:
    """Return the areas of boxes (..., 4: xmin, ymin, xmax, ymax); 0 if a side is negative."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return np.where((width < 0) | (height < 0), 0, width * height)


def overlaps(boxes: np.ndarray, others: np.ndarray, plus: int = 0) -> np.ndarray:
    """Return the intersection over union of `boxes` with `others`, (..., 4) that broadcast; `plus` 1: in pixels."""
    left, top, right, bottom = (
        choose(boxes[..., side], others[..., side])
        for side, choose in enumerate((np.maximum, np.maximum, np.minimum, np.minimum))
    )
    shared = np.maximum(right - left + plus, 0) * np.maximum(bottom - top + plus, 0)
    grown = np.array([0, 0, plus, plus], others.dtype)
    union = areas(boxes + grown) + areas(others + grown) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def suppress(boxes: np.ndarray, threshold: float, most: int | None = None, eta: float = 1.0) -> list[int]:
    """Return the indices of the boxes that remain after non-maximum suppression.

    Parameters
    ----------
    boxes : ndarray (n, 4)
        The boxes, in descending order of their scores.
    threshold : float
        A box that overlaps a better one by more is removed.
    most : int, optional
        The maximum number of boxes.
    eta : float
        If less than 1, the threshold is multiplied by it after each box while it is above 0.5 (SSD).
    """
    if eta < 1:
        return _suppress_adaptively(boxes, threshold, most, eta)
    kept: list[int] = []
    free = np.ones(len(boxes), bool)
    for first in range(0, len(boxes), _BLOCK):
        block = first + np.flatnonzero(free[first : first + _BLOCK])
        kept_here = block[_first_come(~(overlaps(boxes[block, None], boxes[block]) <= threshold))]
        kept.extend(kept_here.tolist())
        if most and len(kept) >= most:
            return kept[:most]
        later = first + _BLOCK + np.flatnonzero(free[first + _BLOCK :])
        free[later] = (overlaps(boxes[kept_here, None], boxes[later]) <= threshold).all(axis=0)
    return kept


_BLOCK = 256  # boxes that are compared at once


def _first_come(conflicts):
    """Return the indices that remain if each removes the later ones that it has a conflict with, in order."""
    free, kept = np.ones(len(conflicts), bool), []
    for index, row in enumerate(conflicts):
        if free[index]:
            kept.append(index)
            free[index + 1 :] &= ~row[index + 1 :]
    return kept


def _suppress_adaptively(boxes, threshold, most, eta):
    kept: list[int] = []
    for index in range(len(boxes)):
        if kept and (overlaps(boxes[index], boxes[kept]) > threshold).any():
            continue
        kept.append(index)
        if len(kept) == most:
            break
        if threshold > 0.5:
            threshold *= eta
    return kept


def decode(offsets: np.ndarray, priors: np.ndarray, variances: np.ndarray | None, code: int) -> np.ndarray:
    """Decode `offsets` (..., 4) relative to `priors` by SSD's code type; `variances` None: they are in the offsets."""
    scaled = offsets if variances is None else offsets * variances
    if code == CORNER:
        return priors + scaled
    sizes = priors[..., 2:] - priors[..., :2]
    if code == CORNER_SIZE:
        return priors + scaled * np.concatenate([sizes, sizes], axis=-1)
    centers = (priors[..., :2] + priors[..., 2:]) / 2 + scaled[..., :2] * sizes
    half = np.exp(scaled[..., 2:]) * sizes / 2
    return np.concatenate([centers - half, centers + half], axis=-1)


def encode(boxes: np.ndarray, priors: np.ndarray, variances: np.ndarray, code: int) -> np.ndarray:
    """Return the offsets (..., 4) of `boxes` relative to `priors` by SSD's code type: the inverse of `decode`."""
    if code == CORNER:
        return (boxes - priors) / variances
    sizes = priors[..., 2:] - priors[..., :2]
    if code == CORNER_SIZE:
        return (boxes - priors) / np.concatenate([sizes, sizes], axis=-1) / variances
    centers = (boxes[..., :2] + boxes[..., 2:] - priors[..., :2] - priors[..., 2:]) / 2 / sizes
    scales = np.log((boxes[..., 2:] - boxes[..., :2]) / sizes)
    return np.concatenate([centers, scales], axis=-1) / variances
