"""Figures from a confusion matrix C[truth, prediction]; counts may be weighted (floats)."""

from __future__ import annotations

import math

import numpy as np


def accuracy(matrix):
    """Share of right answers."""
    return float(np.trace(matrix) / np.sum(matrix))


def one_off_accuracy(matrix):
    """Share of answers at most one class beside the truth, for classes in order of age (Adience's 1-off)."""
    index = np.arange(len(matrix))
    near = np.abs(index[:, None] - index[None, :]) <= 1
    return float(np.sum(np.asarray(matrix)[near]) / np.sum(matrix))


def mean_absolute_error(matrix, centres):
    """Mean distance in years between the middles of the true and the predicted class."""
    centres = np.asarray(centres, np.float64)
    return float(np.sum(matrix * np.abs(centres[:, None] - centres[None, :])) / np.sum(matrix))


def majority_baseline(matrix):
    """(index, accuracy) of always answering the class most frequent in this very set."""
    sizes = np.sum(matrix, 1)
    return int(np.argmax(sizes)), float(np.max(sizes) / np.sum(sizes))


def per_class(matrix):
    """A dict a class: support (faces), predicted (answers), precision, recall, f1.

    What would be 0/0 is None: the precision of a class never answered, the recall of one that has no faces.
    """
    rows = []
    for index in range(len(matrix)):
        hit, support, answered = matrix[index][index], np.sum(matrix[index]), np.sum(matrix[:, index])
        rows.append(
            {
                "support": int(support),
                "predicted": int(answered),
                "precision": _ratio(hit, answered),
                "recall": _ratio(hit, support),
                "f1": _ratio(2 * hit, support + answered),
            }
        )
    return rows


def macro(rows, name):
    """Mean of one figure over the classes for which it is defined; each class counts the same."""
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(values)) if values else None


def wilson_interval(right, total, z=1.959964):
    """(low, high) of a share with 95 % confidence (Wilson 1927), which stays in 0..1 for small counts too."""
    if total == 0:
        return 0.0, 1.0
    share = right / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    reach = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _ratio(part, whole):
    return float(part / whole) if whole else None
