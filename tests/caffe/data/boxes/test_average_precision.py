"""Average precision compared with areas that were computed by hand."""

import numpy as np
import pytest

from caffe.data.boxes.average_precision import DetectionScores, average_precision
from caffe.errors import CaffeError

# right, wrong, right, wrong, right of 4 boxes: precision 1, 1/2, 2/3, 2/4, 3/5 at recall 1/4, 1/4, 2/4, 2/4, 3/4
FOUND = np.array([[0.7, 1], [0.9, 1], [0.8, 0], [0.6, 0], [0.5, 1]])


@pytest.mark.parametrize(
    "version, expected",
    [
        ("Integral", (1 + 2 / 3 + 3 / 5) / 4),
        ("MaxIntegral", (1 + 2 / 3 + 3 / 5) / 4),
        ("11point", (3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11),
    ],
)
def test_area_under_the_curve(version, expected):
    assert average_precision(FOUND, 4, version) == pytest.approx(expected)


def test_the_largest_precision_at_a_larger_recall():
    found = np.array([[0.9, 0], [0.8, 1], [0.7, 1]])  # precision 0, 1/2, 2/3 at recall 0, 1/2, 1
    assert average_precision(found, 2, "Integral") == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert average_precision(found, 2, "MaxIntegral") == pytest.approx(2 / 3)


def test_labels_without_detections_count_as_zero():
    scores = DetectionScores()
    scores.add(np.array([[-1, 1, 1, -1, -1], [-1, 2, 1, -1, -1], [0, 1, 0.9, 1, 0], [0, 1, 0.95, 0, 0]]))
    scores.add(np.array([[-1, 1, 1, -1, -1], [-1, 2, 0, -1, -1], [0, 1, 0.8, 1, 0]]))
    assert scores.by_label() == {1: 1.0, 2: 0.0}
    assert scores.mean() == 0.5


def test_unknown_version():
    with pytest.raises(CaffeError, match="ap_version must be one of 11point"):
        average_precision(FOUND, 4, "voc")
