"""YOLO's non-maximum suppression of boxes given by center and size, for two layer types."""

import math

import numpy as np


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def overlap(a, b):
    """Return the intersection over union of two boxes given by center and size."""
    width = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    height = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    shared = max(0, width) * max(0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def rows(candidates, threshold):
    """Return the rows of the (score, label, box) that overlap no better one."""
    kept = []
    for score, label, box in sorted(candidates, key=lambda c: -c[0]):
        if all(overlap(box, other) < threshold for _, _, other in kept):
            kept.append((score, label, box))
    return np.array([[0, k, s, x - w / 2, y - h / 2, x + w / 2, y + h / 2] for s, k, (x, y, w, h) in kept])[None, None]
