"""Metrics of a confusion matrix C[truth, prediction]; counts may be weighted (floats)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def accuracy(matrix: np.ndarray) -> float:
    """Return the fraction of correct predictions."""
    return float(np.trace(matrix) / np.sum(matrix))


def one_off_accuracy(matrix: np.ndarray) -> float:
    """Return the fraction of predictions at most one class from the truth (Adience's 1-off; classes by age)."""
    index = np.arange(len(matrix))
    near = np.abs(index[:, None] - index[None, :]) <= 1
    return float(np.sum(np.asarray(matrix)[near]) / np.sum(matrix))


def mean_absolute_error(matrix: np.ndarray, centres: Sequence[float] | np.ndarray) -> float:
    """Return the mean distance in years between the centres of the true and the predicted class."""
    centres = np.asarray(centres, np.float64)
    return float(np.sum(matrix * np.abs(centres[:, None] - centres[None, :])) / np.sum(matrix))


def majority_baseline(matrix: np.ndarray) -> tuple[int, float]:
    """Return (index, accuracy) of always predicting the most frequent class of this set."""
    sizes = np.sum(matrix, 1)
    return int(np.argmax(sizes)), float(np.max(sizes) / np.sum(sizes))


def per_class(matrix: np.ndarray) -> list[dict]:
    """Return one dict per class: support (faces), predicted (predictions), precision, recall, f1.

    0/0 is None: the precision of a class that was never predicted, the recall of a class without faces.
    """
    rows = []
    for index in range(len(matrix)):
        hit, support, predicted = matrix[index][index], np.sum(matrix[index]), np.sum(matrix[:, index])
        rows.append(
            {
                "support": int(support),
                "predicted": int(predicted),
                "precision": _ratio(hit, predicted),
                "recall": _ratio(hit, support),
                "f1": _ratio(2 * hit, support + predicted),
            }
        )
    return rows


def macro(rows: Sequence[dict], name: str) -> float | None:
    """Return the mean of one metric over the classes for which it is defined, each class weighted equally."""
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(values)) if values else None


def wilson_interval(correct: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % confidence interval of a fraction (Wilson 1927), which stays in 0..1 for small counts."""
    if total == 0:
        return 0.0, 1.0
    fraction = correct / total
    middle = (fraction + z * z / (2 * total)) / (1 + z * z / total)
    reach = z / (1 + z * z / total) * math.sqrt(fraction * (1 - fraction) / total + z * z / (4 * total * total))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
