"""Shared code of YOLO's losses: labels, predicted boxes, overlaps of boxes given by center and size."""

from __future__ import annotations

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.layers import _boxes

NUMBERS = 5  # of a label: class, center x, center y, width, height


def check_label(shape: tuple[int, ...], batch: int) -> None:
    """Raise CaffeError unless a label bottom has rows of 5 numbers per item, or rows of 8 for all items (SSD)."""
    if shape[-1] == 8 and shape[0] == 1:
        return
    count = int(np.prod(shape[1:]))
    if shape[0] != batch or count % NUMBERS:
        raise CaffeError(
            f"expected labels of {batch} items with rows of 5 numbers (class, x, y, width, height), or rows of 8 "
            f"(AnnotatedData), received {shape}"
        )


def check_bottoms(x: tuple[int, ...], label: tuple[int, ...], channels: int) -> None:
    """Raise CaffeError unless the prediction is N x channels x H x W and the label fits its N items."""
    if len(x) != 4 or x[1] != channels:
        raise CaffeError(f"expected N x {channels} x H x W, received {x}")
    check_label(label, x[0])


def truths(label: np.ndarray, item: int, classes: int) -> np.ndarray:
    """Return the boxes (n, 5: class, x, y, width, height) of an item; the first row without a width ends them.

    Raises
    ------
    CaffeError
        If a class is outside 0 .. classes-1.
    """
    if label.shape[-1] == 8:
        rows = label.reshape(-1, 8)
        rows = rows[rows[:, 0] == item]
        low, high = rows[:, 3:5], rows[:, 5:7]
        found = np.concatenate([rows[:, 1:2] - 1, (low + high) / 2, high - low], axis=1)
    else:
        found = label[item].reshape(-1, NUMBERS)
        empty = np.flatnonzero(found[:, 3] == 0)
        found = found[: empty[0]] if len(empty) else found
    for number in found[:, 0]:
        if not 0 <= number < classes:
            raise CaffeError(f"label {int(number)} is outside 0 .. {classes - 1}, the classes of the prediction")
    return found


def corners(boxes: np.ndarray) -> np.ndarray:
    """Return the corners of boxes (..., 4: center x, center y, width, height)."""
    return np.concatenate([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], axis=-1)


def overlaps(box: np.ndarray, others: np.ndarray, generalized: bool = False) -> np.ndarray:
    """Return the intersection over union of `box` with each of `others`, all with center and size.

    The generalized one (Rezatofighi et al. 2019) is less by the fraction of the hull that no box covers.
    """
    one, many = corners(box), corners(others)
    plain = _boxes.overlaps(one, many)
    if not generalized:
        return plain
    hull = (np.maximum(one[2:], many[:, 2:]) - np.minimum(one[:2], many[:, :2])).prod(axis=1)
    union = (_boxes.areas(one) + _boxes.areas(many)) / (1 + plain)
    return plain - (hull - union) / hull


def overlap_slope(box: np.ndarray, truth: np.ndarray, generalized: bool) -> np.ndarray:
    """Return the slope of `overlaps` for center and size of `box`.

    The slope for a size is the difference of those for its two borders, as in Darknet: twice the derivative.
    """
    borders = torch.tensor(corners(box), requires_grad=True)
    low, high = (torch.tensor(part) for part in np.split(corners(truth), 2))
    with torch.enable_grad():
        shared = (torch.minimum(borders[2:], high) - torch.maximum(borders[:2], low)).clamp(min=0).prod()
        union = (borders[2:] - borders[:2]).prod() + (high - low).prod() - shared
        measure = shared / union
        if generalized:
            measure = measure + union / (torch.maximum(borders[2:], high) - torch.minimum(borders[:2], low)).prod()
        (slope,) = torch.autograd.grad(measure, borders)
    first, last = np.split(slope.numpy(), 2)
    return np.concatenate([first + last, last - first])


def same_center(size: np.ndarray, sizes: np.ndarray, generalized: bool = False) -> np.ndarray:
    """Return `overlaps` of boxes of these sizes around one center."""
    return overlaps(np.concatenate([0 * size, size]), np.concatenate([0 * sizes, sizes], axis=1), generalized)


def best(overlap: np.ndarray) -> int:
    """Return the index of the largest value above 0, or -1."""
    return int(overlap.argmax()) if overlap.max(initial=0) > 0 else -1


def boxes(cells: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Return the predicted boxes (anchors, H, W, 4) as fractions of the image.

    Parameters
    ----------
    cells : ndarray (anchors, values, H, W)
        x and y after the sigmoid, log of width and height, …
    anchors : ndarray (anchors, 2)
        Sizes as fractions of the image.
    """
    height, width = cells.shape[2:]
    x = (np.arange(width) + cells[:, 0]) / width
    y = (np.arange(height)[:, None] + cells[:, 1]) / height
    sizes = np.exp(cells[:, 2:4]) * anchors[:, :, None, None]
    return np.stack([x, y, sizes[:, 0], sizes[:, 1]], axis=-1)


def cell_of(truth: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """Return row and column of the cell with the center of a box; raise CaffeError if it is outside the image."""
    column, row = int(truth[1] * width), int(truth[2] * height)
    if not (0 <= column < width and 0 <= row < height):
        raise CaffeError(f"a label has its center at ({truth[1]:g}, {truth[2]:g}), outside the image (0 .. 1)")
    return row, column


def box_offsets(truth: np.ndarray, row: int, column: int, anchor: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the values that predict a box: x and y in its cell, log of its size relative to the anchor."""
    place = [truth[1] * width - column, truth[2] * height - row]
    return np.array([*place, *np.log(truth[3:5] / anchor)])


def sigmoid_slope(value: np.ndarray) -> np.ndarray:
    """Return the slope of the sigmoid where it has `value`."""
    return value * (1 - value)
