"""The printed block matches the published matrices byte for byte; counting matches a plain loop."""

import numpy as np
import pytest

from agegender.errors import AgeGenderError
from agegender.evaluate import confusion
from agegender.inference.labels import AGE_TRINGN, MALE_FIRST

AGE = np.array(
    [
        [178, 2, 7, 2, 0, 0, 0, 0, 2],
        [4, 2, 9, 3, 1, 0, 0, 0, 0],
        [1, 2, 214, 44, 2, 2, 2, 2, 0],
        [2, 2, 50, 37, 8, 5, 1, 2, 1],
        [0, 1, 6, 10, 8, 2, 1, 0, 0],
        [0, 0, 1, 4, 3, 3, 5, 1, 0],
        [2, 0, 3, 2, 0, 3, 3, 3, 0],
        [0, 0, 1, 0, 0, 4, 8, 4, 3],
        [1, 0, 0, 2, 0, 0, 2, 6, 8],
    ]
)
GENDER = np.array([[267, 53], [49, 318]])
AGE_TEXT = (
    b"Accuracy: 66.5%, 457/687 corrects\n"
    b"\n"
    b"Confusion matrix:\n"
    b"Actual\\Predict\t0-9\t10-19\t20-29\t30-39\t40-49\t50-59\t60-69\t70-79\t80-120\t\n"
    b"\t\t-----------------------------------------------\n"
    b"0-9\t\t178\t2\t7\t2\t0\t0\t0\t0\t2\n"
    b"10-19\t\t4\t2\t9\t3\t1\t0\t0\t0\t0\n"
    b"20-29\t\t1\t2\t214\t44\t2\t2\t2\t2\t0\n"
    b"30-39\t\t2\t2\t50\t37\t8\t5\t1\t2\t1\n"
    b"40-49\t\t0\t1\t6\t10\t8\t2\t1\t0\t0\n"
    b"50-59\t\t0\t0\t1\t4\t3\t3\t5\t1\t0\n"
    b"60-69\t\t2\t0\t3\t2\t0\t3\t3\t3\t0\n"
    b"70-79\t\t0\t0\t1\t0\t0\t4\t8\t4\t3\n"
    b"80-120\t\t1\t0\t0\t2\t0\t0\t2\t6\t8\n"
)
GENDER_TEXT = (
    b"Accuracy: 85.2%, 585/687 corrects\n\nConfusion matrix:\nActual\\Predict\tMale\tFemale\t\n"
    b"\t\t-----------------------------------------------\nMale\t\t267\t53\nFemale\t\t49\t318\n"
)


def as_predictions(matrix):
    """(true, predicted) classes that give this confusion matrix."""
    truth, predicted = [], []
    for (row, column), number in np.ndenumerate(matrix):
        truth += [row] * number
        predicted += [column] * number
    return truth, predicted


@pytest.mark.parametrize("matrix, labels, text", [(AGE, AGE_TRINGN, AGE_TEXT), (GENDER, MALE_FIRST, GENDER_TEXT)])
def test_published_blocks_are_reproduced_byte_for_byte(matrix, labels, text):
    counted = confusion.count(*as_predictions(matrix), len(labels))
    assert confusion.format_matrix(counted, labels.names).encode() == text


def test_count_equals_a_plain_loop():
    rng = np.random.default_rng(1)
    truth, predicted = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    expected = np.zeros((5, 5), int)
    for t, p in zip(truth, predicted):
        expected[t, p] += 1
    counted = confusion.count(truth, predicted, 5)
    assert counted.dtype == np.int64 and np.array_equal(counted, expected)


def test_an_absent_class_has_no_row_and_no_column():
    matrix = confusion.count([0, 2, 2], [0, 2, 3], 9)
    lines = confusion.format_matrix(matrix, AGE_TRINGN.names).split("\n")
    assert lines[3] == "Actual\\Predict\t0-9\t20-29\t30-39\t"
    assert lines[5:] == ["0-9\t\t1\t0\t0", "20-29\t\t0\t1\t1", "30-39\t\t0\t0\t0", ""]


def test_no_predictions_cause_no_division_by_zero():
    assert confusion.format_matrix(confusion.count([], [], 2), MALE_FIRST.names).startswith("Accuracy: 0.0%, 0/0")


def test_a_label_outside_the_net_classes_is_an_error():
    with pytest.raises(AgeGenderError, match="true class 8: expected 0 to 1, as the net has 2 classes"):
        confusion.count([0, 8], [0, 1], 2)


def test_error_lines_have_the_tools_format():
    line = confusion.format_error(b"00000003_a.jpg", 2, 3)
    assert line == "\rError: i=b'00000003_a.jpg', expected 2 but predicted 3\n"
