"""Temperature scaling (Guo et al. 2017): probabilities that are right as often as they say.

A temperature T divides the logits; of probabilities, that is p ** (1 / T), normalized. It never changes which class is
the most probable one. Device side: Python 3.7, numpy.
"""

from __future__ import annotations

import numpy as np

COVERAGE = 0.68  # of an age interval: that of one standard deviation of a normal distribution
TINY = 1e-30  # keeps 0 ** (1 / T) and the normalization finite


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities (..., classes) at a temperature; 1 returns them unchanged."""
    if temperature == 1:
        return probabilities
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), TINY)) / temperature
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True)).astype(np.asarray(probabilities).dtype)


def interval_years(probabilities: np.ndarray, coverage: float = COVERAGE) -> float:
    """Return half the width in years of the central interval that holds `coverage` of the probability.

    Parameters
    ----------
    probabilities : array-like (classes,)
        Of single years from 0 on.
    coverage : float
    """
    below = np.concatenate([[0.0], np.cumsum(np.asarray(probabilities, np.float64).reshape(-1))])
    edges = np.arange(len(below)) - 0.5
    low, high = np.interp([below[-1] * (1 - coverage) / 2, below[-1] * (1 + coverage) / 2], below, edges)
    return float(high - low) / 2
