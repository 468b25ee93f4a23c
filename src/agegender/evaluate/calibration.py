"""Calibration: how far stated probabilities are from the truth, and the temperature that brings them closest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from agegender.inference.calibration import scaled

BINS = 10  # of equal width
TEMPERATURES = (0.25, 4.0)  # where the best one is looked for
_GOLDEN = (5**0.5 - 1) / 2


def bins(probabilities: np.ndarray, truth: np.ndarray, count: int = BINS) -> list[dict[str, float]]:
    """Return the reliability diagram: faces, mean confidence and accuracy of each bin that has faces.

    Parameters
    ----------
    probabilities : ndarray (N, classes)
    truth : ndarray (N,) of int
    count : int
        Number of bins of equal width over the probability of the predicted class.
    """
    confidence, correct = probabilities.max(1), probabilities.argmax(1) == truth
    index = np.minimum((confidence * count).astype(int), count - 1)
    return [
        {
            "faces": int((index == number).sum()),
            "confidence": float(confidence[index == number].mean()),
            "accuracy": float(correct[index == number].mean()),
        }
        for number in np.unique(index)
    ]


def expected_calibration_error(probabilities: np.ndarray, truth: np.ndarray, count: int = BINS) -> float:
    """Return the mean distance of confidence and accuracy over the bins, weighted by faces (Naeini et al. 2015)."""
    return error_of(bins(probabilities, truth, count))


def error_of(rows: Sequence[dict[str, float]]) -> float:
    """Return the expected calibration error of a reliability diagram, as `bins` returns it."""
    total = sum(row["faces"] for row in rows)
    return sum(row["faces"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / total


def negative_log_likelihood(probabilities: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Return the mean of -log of the probability of the true class; `weights` (N,) are those of the faces."""
    values = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12))
    return float(np.average(values, weights=weights))


def fit_temperature(
    probabilities: np.ndarray,
    truth: np.ndarray,
    classes_of: Callable[[np.ndarray], np.ndarray] = lambda rows: rows,
    limits: Sequence[float] = TEMPERATURES,
    weights: np.ndarray | None = None,
) -> float:
    """Return the temperature with the least negative log-likelihood, by golden section search over its logarithm.

    Parameters
    ----------
    probabilities : ndarray (N, outputs)
        Of the net, at temperature 1.
    truth : ndarray (N,) of int
        True classes.
    classes_of : callable
        Turns scaled outputs into probabilities of classes, such as the sums over decades.
    limits : (float, float)
    weights : ndarray (N,), optional
        Of the faces.
    """

    def loss(logarithm: float) -> float:
        return negative_log_likelihood(classes_of(scaled(probabilities, float(np.exp(logarithm)))), truth, weights)

    low, high = np.log(limits[0]), np.log(limits[1])
    for _ in range(40):
        reach = _GOLDEN * (high - low)
        if loss(high - reach) <= loss(low + reach):
            high = low + reach
        else:
            low = high - reach
    return float(np.exp((low + high) / 2))
