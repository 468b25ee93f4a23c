"""Shared code of YOLO's output layers: rows of detections from boxes (center x, center y, width, height) and scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers import _boxes
from caffe.layers._emit import one


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


def cells(bottom: np.ndarray, count: int) -> np.ndarray:
    """Return an item (anchors x values x H x W) as rows (y, x, anchor) x values."""
    numbers = bottom.shape[0] // count
    return bottom.reshape(count, numbers, *bottom.shape[1:]).transpose(2, 3, 0, 1).reshape(-1, numbers)


def positions(height: int, width: int, anchors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return column and row of each cell, and width and height of its anchor, in the order of `cells`."""
    grid = np.stack(np.broadcast_arrays(np.arange(width)[None, :], np.arange(height)[:, None]), -1)
    count = len(anchors)
    corners = np.repeat(grid.reshape(-1, 2), count, axis=0).astype(np.float32)
    return corners, np.tile(anchors.astype(np.float32), (height * width, 1))


def detections(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, overlap: float) -> np.ndarray:
    """Return rows (0, label, score, left, top, right, bottom) after non-maximum suppression over all classes.

    A box that overlaps a better one by `overlap` or more is removed. Without detections, the result is one row of 0 and
    -1.
    """
    order = np.argsort(-scores, kind="stable")
    half = boxes[:, 2:] / 2
    corners = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)[order]
    kept = _boxes.suppress(corners, float(below(overlap)))
    if not kept:
        return np.array([[0.0, *[-1.0] * 6]], np.float32)
    head = np.stack([np.zeros(len(kept)), labels[order][kept], scores[order][kept]], axis=1)
    return np.concatenate([head, corners[kept]], axis=1).astype(np.float32)


def below(value: float) -> np.float32:
    """Return the next smaller float32: x >= value is equivalent to x > below(value)."""
    return np.nextafter(np.float32(value), np.float32(-np.inf))


def columns(g: Any, rows: str, start: int, end: int) -> str:
    """Emit the columns `start` to `end` of a matrix and return their name."""
    return one(g, "Slice", [rows, *(g.constant([n], f"n{n}") for n in (start, end, 1))], "columns")


def cells_to_onnx(g: Any, bottom: str, count: int) -> str:
    """Emit `cells` of a bottom with one item and return the name."""
    _, channels, height, width = g.shape(bottom)
    split = g.constant([count, channels // count, height, width], "split")
    transposed = one(g, "Transpose", [one(g, "Reshape", [bottom, split], "planes")], "transposed", perm=[2, 3, 0, 1])
    return one(g, "Reshape", [transposed, g.constant([-1, channels // count], "rows")], "cells")


def detections_to_onnx(g: Any, boxes: str, scores: str, labels: str, least: float, overlap: float, top: str) -> None:
    """Emit `detections` of boxes (n x 4) with a score (n) above `least` and labels (n, float)."""
    batch = one(g, "Unsqueeze", [boxes], "batch", axes=[0])
    rows = one(g, "Unsqueeze", [scores], "scores", axes=[0, 1])
    limits = [np.array([2**30], np.int64), np.array([below(overlap)]), np.array([least], np.float32)]
    names = [g.constant(value, f"limit{number}") for number, value in enumerate(limits)]
    picks = one(g, "NonMaxSuppression", [batch, rows, *names], "picks", center_point_box=1)
    where = one(g, "Gather", [picks, g.constant(np.int64(2), "box")], "where", axis=1)
    chosen = one(g, "Gather", [boxes, where], "chosen", axis=0)
    half = one(g, "Mul", [columns(g, chosen, 2, 4), g.constant(np.float32(0.5), "half")], "half")
    middle = columns(g, chosen, 0, 2)
    ends = [one(g, op, [middle, half], "end") for op in ("Sub", "Add")]
    head = [
        one(g, "Unsqueeze", [one(g, "Gather", [source, where], "picked", axis=0)], "column", axes=[1])
        for source in (labels, scores)
    ]
    item = one(g, "Mul", [head[0], g.constant(np.float32(0), "zero")], "item")
    found = one(g, "Concat", [item, *head, *ends], "found", axis=1)
    g.node("Reshape", [or_nothing(g, found, 1), g.constant([1, 1, -1, 7], "shape")], [top])


def or_nothing(g: Any, rows: str, items: int) -> str:
    """Emit the rows, or, if there are none, one row with number and -1 for each of `items`."""
    nothing = np.full((items, 7), -1, np.float32)
    nothing[:, 0] = np.arange(items)
    both = one(g, "Concat", [rows, g.constant(nothing, "nothing")], "both", axis=0)
    count = one(g, "Gather", [one(g, "Shape", [rows], "shape"), g.constant([0], "first")], "count", axis=0)
    number = one(g, "Cast", [count], "number", to=1)
    some = one(g, "Min", [number, g.constant(np.array([1], np.float32), "one")], "some")
    none = one(g, "Sub", [g.constant(np.array([1], np.float32), "one"), some], "none")
    length = one(g, "Add", [number, one(g, "Mul", [none, g.constant(np.float32(items), "items")], "fill")], "length")
    end = one(g, "Cast", [length], "end", to=7)
    return one(g, "Slice", [both, g.constant([0], "start"), end, g.constant([0], "axis")], "rows")
