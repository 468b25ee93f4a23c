"""Boxes in NumPy: overlap, non-maximum suppression, and SSD's decoding of offsets from priors."""

from __future__ import annotations

import numpy as np

from caffe.proto import caffe_pb2

CORNER, CENTER_SIZE, CORNER_SIZE = (
    caffe_pb2.PriorBoxParameter.CodeType.Value(name) for name in ("CORNER", "CENTER_SIZE", "CORNER_SIZE")
)


def areas(boxes: np.ndarray) -> np.ndarray:
    """Areas of boxes (..., 4) given as xmin, ymin, xmax, ymax; 0 where a side is negative."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return np.where((width < 0) | (height < 0), 0, width * height)


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of `box` (4) with each of `others` (n, 4); 0 where they do not touch."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    union = areas(box) + areas(others) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def suppress(boxes: np.ndarray, threshold: float, most: int | None = None, eta: float = 1.0) -> list[int]:
    """Indices of the boxes that stay, of `boxes` in falling order of their scores: those that overlap none before them by
    more than `threshold`; `most` ends it. With eta < 1 the threshold falls after each box, down to 0.5 (SSD).
    """
    kept, free = [], np.ones(len(boxes), bool)
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
    """Boxes of `offsets` (..., 4) from `priors` (4 corners) by SSD's code type; `variances` None: they are in the offsets."""
    scaled = offsets if variances is None else offsets * variances
    if code == CORNER:
        return priors + scaled
    sizes = priors[..., 2:] - priors[..., :2]
    if code == CORNER_SIZE:
        return priors + scaled * np.concatenate([sizes, sizes], axis=-1)
    centres = (priors[..., :2] + priors[..., 2:]) / 2 + scaled[..., :2] * sizes
    half = np.exp(scaled[..., 2:]) * sizes / 2
    return np.concatenate([centres - half, centres + half], axis=-1)
