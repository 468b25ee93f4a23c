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


def overlaps(box: np.ndarray, others: np.ndarray, plus: int = 0) -> np.ndarray:
    """Return the intersection over union of `box` (4) with each of `others` (n, 4); `plus` 1: corners in pixels."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low + plus, 0), axis=1)
    grown = np.array([0, 0, plus, plus], others.dtype)
    union = areas(box + grown) + areas(others + grown) - shared
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
    kept: list[int] = []
    free = np.ones(len(boxes), bool)
    for index in range(len(boxes)):
        if not free[index]:
            continue
        if eta < 1 and any(overlaps(boxes[index], boxes[kept]) > threshold if kept else ()):
            continue
        kept.append(index)
        if len(kept) == most:
            break
        if eta == 1:
            free[index + 1 :] &= overlaps(boxes[index], boxes[index + 1 :]) <= threshold
        elif threshold > 0.5:
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
