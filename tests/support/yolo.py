"""Plain definitions for the tests of YOLO's layers; boxes are (center x, center y, width, height)."""

import math


def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    return 1 / (1 + math.exp(-x))


def _shared(a, b):
    sides = [
        min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2) - max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2) for i in (0, 1)
    ]
    return max(sides[0], 0) * max(sides[1], 0)


def intersection_over_union(a, b, generalized=False):
    """Return the intersection over union of two boxes; the generalized one is less by the hull's uncovered part."""
    shared = _shared(a, b)
    union = a[2] * a[3] + b[2] * b[3] - shared
    if not generalized:
        return shared / union
    hull = math.prod(
        max(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2) - min(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2) for i in (0, 1)
    )
    return shared / union - (hull - union) / hull
