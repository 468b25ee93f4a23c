"""Metrics of the published matrices, of the paper's matrix, and from their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender.evaluate import metrics

from .test_confusion import AGE, GENDER

# Levi and Hassner 2015, rows predicted, columns true; and the rows of each class in the fold files.
PAPER = np.array(
    [
        [0.699, 0.147, 0.028, 0.006, 0.005, 0.008, 0.007, 0.009],
        [0.256, 0.573, 0.166, 0.023, 0.010, 0.011, 0.010, 0.005],
        [0.027, 0.223, 0.552, 0.150, 0.091, 0.068, 0.055, 0.061],
        [0.003, 0.019, 0.081, 0.239, 0.106, 0.055, 0.049, 0.028],
        [0.006, 0.029, 0.138, 0.510, 0.613, 0.461, 0.260, 0.108],
        [0.004, 0.007, 0.023, 0.058, 0.149, 0.293, 0.339, 0.268],
        [0.002, 0.001, 0.004, 0.007, 0.017, 0.055, 0.146, 0.165],
        [0.001, 0.001, 0.008, 0.007, 0.009, 0.050, 0.134, 0.357],
    ]
)
SIZES = np.array([2519, 2163, 2132, 1655, 4950, 2300, 830, 875])


def test_the_papers_matrix_gives_its_accuracy():
    matrix = (PAPER * SIZES).T
    assert round(100 * metrics.accuracy(matrix), 1) == 50.0
    assert round(100 * metrics.one_off_accuracy(matrix), 1) == 84.7


def test_the_published_age_matrix():
    assert metrics.accuracy(AGE) == 457 / 687 and metrics.one_off_accuracy(AGE) == 619 / 687
    recalls = [round(row["recall"], 3) for row in metrics.per_class(AGE)]
    assert recalls == [0.932, 0.105, 0.796, 0.343, 0.286, 0.176, 0.188, 0.2, 0.421]
    assert metrics.majority_baseline(AGE) == (2, 269 / 687)


def test_the_published_gender_matrix():
    rows = metrics.per_class(GENDER)
    assert [round(row["recall"], 3) for row in rows] == [0.834, 0.866]
    assert rows[0]["precision"] == 267 / (267 + 49)
    assert rows[1]["f1"] == pytest.approx(2 / (1 / rows[1]["precision"] + 1 / rows[1]["recall"]))
    assert metrics.macro(rows, "recall") == pytest.approx((267 / 320 + 318 / 367) / 2)


def test_undefined_metrics_are_none_and_excluded_from_the_mean():
    rows = metrics.per_class(np.array([[3, 1, 0], [0, 0, 0], [2, 0, 0]]))
    assert rows[1] == {"support": 0, "predicted": 1, "precision": 0.0, "recall": None, "f1": 0.0}
    assert rows[2]["precision"] is None and rows[2]["recall"] == 0.0
    assert metrics.macro(rows, "recall") == 0.375


def test_mean_absolute_error_equals_a_plain_sum():
    matrix, centres = np.array([[2, 1], [3, 4]]), [4.5, 14.5]
    assert metrics.mean_absolute_error(matrix, centres) == pytest.approx((1 * 10 + 3 * 10) / 10)


def test_wilson_interval_known_values():
    low, high = metrics.wilson_interval(585, 687)
    assert (round(low, 4), round(high, 4)) == (0.8230, 0.8762)
    assert metrics.wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert metrics.wilson_interval(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_solves_its_equation(pair):
    """Its bounds are where |fraction - p| = z * sqrt(p(1-p)/n)."""
    right, total = pair
    for p in metrics.wilson_interval(right, total):
        assert abs((right / total - p) ** 2 - 1.959964**2 * p * (1 - p) / total) < 1e-6
