"""Read a report: confusion matrix, the images of a cell, calibration, intervals; compare two reports."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
from typing import Any

import numpy as np

from agegender.errors import AgeGenderError

BINS = 10  # of the reliability diagram
MAX_IMAGES = 2_000_000
csv.field_size_limit(1 << 20)


@dataclasses.dataclass
class Report:
    """An evaluation.

    Attributes
    ----------
    summary : dict
        report.json.
    keys : list of str
        Keys of the database.
    truth, predicted : ndarray of int, (N,)
    probabilities : ndarray, (N, classes)
    """

    summary: dict[str, Any]
    keys: list[str]
    truth: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray

    @property
    def labels(self) -> list[str]:
        """The class names."""
        return [str(name) for name in self.summary["labels"]]

    @property
    def matrix(self) -> np.ndarray:
        """The confusion matrix: rows are true classes, columns predictions."""
        count = len(self.labels)
        return np.bincount(self.truth * count + self.predicted, minlength=count * count).reshape(count, count)

    @property
    def confidence(self) -> np.ndarray:
        """The probability of each prediction."""
        return self.probabilities[np.arange(len(self.keys)), self.predicted]

    def cell(self, truth: int, predicted: int) -> list[int]:
        """Return the rows of a cell of the matrix, the most confident first."""
        rows = np.flatnonzero((self.truth == truth) & (self.predicted == predicted))
        return rows[np.argsort(-self.confidence[rows], kind="stable")].tolist()

    def worst(self, most: int = 24) -> list[int]:
        """Return the rows of the most confident mistakes."""
        rows = np.flatnonzero(self.truth != self.predicted)
        return rows[np.argsort(-self.confidence[rows], kind="stable")][:most].tolist()


def read(folder: str) -> Report:
    """Read a report folder.

    Raises
    ------
    AgeGenderError
        If a file is missing or damaged.
    """
    try:
        with open(os.path.join(folder, "report.json"), encoding="utf-8") as stream:
            summary = json.load(stream)
        labels = [str(name) for name in summary["labels"]]
        for name in ("accuracy", "total", "balanced_accuracy", "macro_f1", "majority_baseline"):
            summary[name] = None if summary.get(name) is None else float(summary[name])
        path = os.path.join(folder, "predictions.csv")
        if not os.path.isfile(path):
            return Report(summary, [], *(np.zeros(0, int),) * 2, np.zeros((0, len(labels))))
        with open(path, encoding="utf-8", newline="") as stream:
            rows = [row for _, row in zip(range(MAX_IMAGES), csv.reader(stream))][1:]
        index = {_cell(name): number for number, name in enumerate(labels)}
        truth = np.array([index[row[1]] for row in rows], np.int64)
        predicted = np.array([index[row[2]] for row in rows], np.int64)
        probabilities = np.array([row[3:] for row in rows], float).reshape(len(rows), len(labels))
    except OSError as error:
        raise AgeGenderError(f"{folder}: {error.strerror}") from None
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, csv.Error) as error:
        raise AgeGenderError(f"{folder}: the report is damaged ({type(error).__name__}: {error})") from None
    return Report(summary, [row[0] for row in rows], truth, predicted, probabilities)


def _cell(name: str) -> str:
    from caffe.utils.cli.safe_text import cell

    return cell(name)


def key_bytes(text: str) -> bytes:
    """Return the database key of a cell of predictions.csv."""
    if text.startswith("'"):
        text = text[1:]
    return text.encode("utf-8", "surrogateescape")


def calibration(report: Report) -> dict[str, Any]:
    """Return the reliability diagram: per bin of confidence the accuracy, and the expected calibration error."""
    correct = report.truth == report.predicted
    confidence = report.confidence
    numbers = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    bins, error = [], 0.0
    for number in range(BINS):
        members = numbers == number
        count = int(members.sum())
        if not count:
            bins.append({"low": number / BINS, "count": 0, "confidence": None, "accuracy": None})
            continue
        mean, accuracy = float(confidence[members].mean()), float(correct[members].mean())
        error += count / len(confidence) * abs(accuracy - mean)
        bins.append({"low": number / BINS, "count": count, "confidence": mean, "accuracy": accuracy})
    return {"bins": bins, "expected_calibration_error": error if len(confidence) else None}


def wilson(correct: int, total: int, z: float = 1.959964) -> list[float]:
    """Return the Wilson interval of a proportion (Wilson 1927), 95 % by default."""
    if not total:
        return [0.0, 1.0]
    p = correct / total
    middle, half = p + z * z / (2 * total), z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return [(middle - half) / (1 + z * z / total), (middle + half) / (1 + z * z / total)]


def per_class(report: Report) -> list[dict[str, Any]]:
    """Return precision, recall, F1, support and the interval of the recall of each class."""
    matrix = report.matrix
    rows = []
    for number, name in enumerate(report.labels):
        hits, support, claimed = int(matrix[number, number]), int(matrix[number].sum()), int(matrix[:, number].sum())
        precision = hits / claimed if claimed else None
        recall = hits / support if support else None
        f1 = 2 * hits / (support + claimed) if support + claimed else None
        near = int(matrix[number, max(0, number - 1) : number + 2].sum())
        rows.append(
            {
                "class": name,
                "support": support,
                "precision": precision,
                "recall": recall,
                "f1": f1,
                "recall_95": wilson(hits, support) if support else None,
                "one_off": near / support if support else None,
            }
        )
    return rows


def compare(first: Report, second: Report) -> dict[str, Any]:
    """Return how predictions of the same images differ: counts, rows of changed images, and McNemar's exact test."""
    if first.labels != second.labels:
        raise AgeGenderError("the two evaluations have different classes")
    place = {key: row for row, key in enumerate(second.keys)}
    pairs = [(row, place[key]) for row, key in enumerate(first.keys) if key in place]
    if not pairs:
        raise AgeGenderError("the two evaluations have no image in common; evaluate both on the same database")
    a, b = (np.array(rows) for rows in zip(*pairs))
    right_a, right_b = first.truth[a] == first.predicted[a], second.truth[b] == second.predicted[b]
    fixed, broken = np.flatnonzero(~right_a & right_b), np.flatnonzero(right_a & ~right_b)
    other = np.flatnonzero(~right_a & ~right_b & (first.predicted[a] != second.predicted[b]))

    def rows(chosen: np.ndarray) -> list[tuple[int, int]]:
        return [(int(a[i]), int(b[i])) for i in chosen]

    return {
        "common": len(pairs),
        "both_right": int((right_a & right_b).sum()),
        "both_wrong": int((~right_a & ~right_b).sum()),
        "fixed": rows(fixed),
        "broken": rows(broken),
        "other": rows(other),
        "p_value": mcnemar(len(fixed), len(broken)),
    }


def mcnemar(fixed: int, broken: int) -> float:
    """Return the two-sided exact p-value that both nets are equally good (McNemar 1947, binomial)."""
    total = fixed + broken
    if not total:
        return 1.0
    tail = sum(math.comb(total, k) for k in range(min(fixed, broken) + 1))
    return min(1.0, 2 * tail / 2**total)
