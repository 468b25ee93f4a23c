"""What YOLO's output layers have in common: boxes (x, y, w, h around the centre) and scores to rows of detections."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers import _boxes


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


def cells(bottom: np.ndarray, count: int) -> np.ndarray:
    """(anchors x numbers x H x W) of one item as rows (y, x, anchor) x numbers."""
    numbers = bottom.shape[0] // count
    return bottom.reshape(count, numbers, *bottom.shape[1:]).transpose(2, 3, 0, 1).reshape(-1, numbers)


def places(height: int, width: int, anchors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(column and row of each cell, width and height of its anchor) in the order of `cells`."""
    grid = np.stack(np.broadcast_arrays(np.arange(width)[None, :], np.arange(height)[:, None]), -1)
    count = len(anchors)
    corners = np.repeat(grid.reshape(-1, 2), count, axis=0).astype(np.float32)
    return corners, np.tile(anchors.astype(np.float32), (height * width, 1))


def detections(placed: np.ndarray, scores: np.ndarray, labels: np.ndarray, overlap: float) -> np.ndarray:
    """Rows (0, label, score, left, top, right, bottom) of what stays: the best, and all that overlap none better by
    `overlap` or more, whatever their class; one row of 0 and -1 where there is nothing.
    """
    order = np.argsort(-scores, kind="stable")
    half = placed[:, 2:] / 2
    corners = np.concatenate([placed[:, :2] - half, placed[:, :2] + half], axis=1)[order]
    kept = _boxes.suppress(corners, below(overlap))
    if not kept:
        return np.array([[0.0, *[-1.0] * 6]], np.float32)
    head = np.stack([np.zeros(len(kept)), labels[order][kept], scores[order][kept]], axis=1)
    return np.concatenate([head, corners[kept]], axis=1).astype(np.float32)


def below(value: float) -> np.float32:
    """The next smaller number: "at least" of a float as "more than"."""
    return np.nextafter(np.float32(value), np.float32(-np.inf))


def one(g: Any, op: str, inputs: list[str], hint: str, **attributes: Any) -> str:
    """Emit a node with one output and return its name."""
    name = g.temp(hint)
    g.node(op, inputs, [name], **attributes)
    return name


def columns(g: Any, rows: str, start: int, end: int) -> str:
    """Columns `start` to `end` of a matrix."""
    return one(g, "Slice", [rows, *(g.constant([n], f"n{n}") for n in (start, end, 1))], "columns")


def cells_to_onnx(g: Any, bottom: str, count: int) -> str:
    """Emit `cells` of a bottom of one item."""
    _, channels, height, width = g.shape(bottom)
    split = g.constant([count, channels // count, height, width], "split")
    turned = one(g, "Transpose", [one(g, "Reshape", [bottom, split], "planes")], "turned", perm=[2, 3, 0, 1])
    return one(g, "Reshape", [turned, g.constant([-1, channels // count], "rows")], "cells")


def detections_to_onnx(g: Any, placed: str, scores: str, labels: str, least: float, overlap: float, top: str) -> None:
    """Emit `detections` of boxes (n x 4) with a score (n) above `least` and labels (n, float)."""
    batch = one(g, "Unsqueeze", [placed], "batch", axes=[0])
    rows = one(g, "Unsqueeze", [scores], "scores", axes=[0, 1])
    limits = [np.array([2**30], np.int64), np.array([below(overlap)]), np.array([least], np.float32)]
    names = [g.constant(value, "limit%d" % number) for number, value in enumerate(limits)]
    picks = one(g, "NonMaxSuppression", [batch, rows, *names], "picks", center_point_box=1)
    where = one(g, "Gather", [picks, g.constant(np.int64(2), "box")], "where", axis=1)
    chosen = one(g, "Gather", [placed, where], "chosen", axis=0)
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
    """Emit the rows, or one of its number and -1 for each of `items` where there is none."""
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
