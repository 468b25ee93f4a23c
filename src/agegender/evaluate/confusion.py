"""Confusion matrices, C[i, j] counting faces of true class i said to be class j, as the original prints them.

Rows are the truth, columns the prediction (in the paper of Levi and Hassner it is the other way round).
"""

from __future__ import annotations

import numpy as np

from agegender.errors import AgeGenderError

_RULE = 47  # dashes under the header, however many classes there are


def count(truth, predicted, classes):
    """int64 matrix classes x classes from two sequences of class indices."""
    truth, predicted = np.asarray(truth, np.int64).reshape(-1), np.asarray(predicted, np.int64).reshape(-1)
    if truth.size != predicted.size:
        raise ValueError("%d true classes and %d predicted ones" % (truth.size, predicted.size))
    for what, values in (("true", truth), ("predicted", predicted)):
        wrong = values[(values < 0) | (values >= classes)]
        if wrong.size:
            raise AgeGenderError(
                "%s class %d in the data, but the net has %d classes (0..%d); is it the right database?"
                % (what, wrong[0], classes, classes - 1)
            )
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def corrects(matrix):
    """(number of right answers, number of all)."""
    return int(np.trace(matrix)), int(np.sum(matrix))


def format_matrix(matrix, names):
    """Accuracy line and matrix byte for byte as AgeGenderPrediction's tool ends its output.

    Classes which occur neither as truth nor as prediction have no row and no column there.
    """
    right, total = corrects(matrix)
    seen = [index for index in range(len(names)) if np.sum(matrix[index]) + np.sum(matrix[:, index])]
    text = "Accuracy: %.1f%%, %i/%i corrects\n\nConfusion matrix:\n" % (
        100.0 * right / max(total, 1),
        right,
        total,
    )
    text += "Actual\\Predict\t" + "".join(names[index] + "\t" for index in seen) + "\n"
    text += "\t\t" + "-" * _RULE + "\n"
    for row in seen:
        text += names[row] + "\t" + "".join("\t%i" % matrix[row][column] for column in seen) + "\n"
    return text


def format_error(key, truth, predicted):
    """The line of one wrong answer in that tool's output; `key` is the database's key (bytes)."""
    return "\rError: i=%s, expected %i but predicted %i\n" % (key, truth, predicted)
