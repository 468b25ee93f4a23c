"""Average precision of detections, from the rows of DetectionEvaluate, as SSD's solver computes it."""

from __future__ import annotations

import numpy as np

from caffe.errors import CaffeError

VERSIONS = ("11point", "MaxIntegral", "Integral")


class DetectionScores:
    """Collects rows of DetectionEvaluate over batches.

    A row is (-1, label, number of true boxes, -1, -1), or (item, label, score, true positive, false positive) of a
    detection. A detection that is neither does not count.
    """

    def __init__(self) -> None:
        self.positives: dict[int, int] = {}
        self._found: dict[int, list[np.ndarray]] = {}

    def add(self, rows: np.ndarray) -> None:
        """Add the rows (n, 5) of a batch."""
        for row in rows[rows[:, 0] == -1]:
            label = int(row[1])
            self.positives[label] = self.positives.get(label, 0) + int(row[2])
        counted = rows[(rows[:, 0] != -1) & (rows[:, 3] + rows[:, 4] > 0)]
        for label in np.unique(counted[:, 1]):
            self._found.setdefault(int(label), []).append(counted[counted[:, 1] == label][:, 2:4])

    def by_label(self, version: str = "Integral") -> dict[int, float]:
        """Return label -> average precision; a label without detections has 0."""
        return {
            label: average_precision(np.concatenate(self._found.get(label, [np.zeros((0, 2))])), count, version)
            for label, count in self.positives.items()
        }

    def mean(self, version: str = "Integral") -> float:
        """Return the mean average precision over all labels, as SSD: a label without true boxes counts as 0."""
        values = self.by_label(version)
        return sum(values.values()) / max(len(values), 1)


def average_precision(found: np.ndarray, positives: int, version: str = "Integral") -> float:
    """Return the average precision of one label.

    Parameters
    ----------
    found : ndarray (n, 2)
        Score, and 1 for a true positive, of each detection.
    positives : int
        The number of true boxes.
    version : {"Integral", "MaxIntegral", "11point"}
        The area under the curve of precision over recall; with the precision at a recall replaced by the largest one at
        this or a larger recall (VOC 2012); or the mean of that at the recalls 0, 0.1 .. 1 (VOC 2007).

    Returns
    -------
    float
    """
    if version not in VERSIONS:
        raise CaffeError(f"ap_version must be one of {', '.join(VERSIONS)}, received '{version}'")
    if not len(found) or positives < 1:
        return 0.0
    right = found[np.argsort(-found[:, 0], kind="stable"), 1]
    hits = np.cumsum(right)
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / positives
    best = np.maximum.accumulate(precision[::-1])[::-1]
    if version == "11point":
        levels = [best[recall >= level / 10] for level in range(11)]
        return float(sum(values[0] for values in levels if len(values)) / 11)
    steps = np.diff(recall, prepend=0)
    return float((steps * (best if version == "MaxIntegral" else precision)).sum())
