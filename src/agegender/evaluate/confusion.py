"""Confusion matrices: C[i, j] counts the faces of true class i that were predicted as class j.

Rows are true classes, columns predictions (transposed in Levi and Hassner's paper). The text form is
AgeGenderPrediction's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agegender.errors import AgeGenderError

_RULE = 47  # dashes under the header, whatever the number of classes


def count(truth: Sequence[int] | np.ndarray, predicted: Sequence[int] | np.ndarray, classes: int) -> np.ndarray:
    """Return the confusion matrix of two sequences of class indices.

    Returns
    -------
    ndarray of int64, (classes, classes)

    Raises
    ------
    AgeGenderError
        If an index is not below `classes`.
    """
    truth, predicted = np.asarray(truth, np.int64).reshape(-1), np.asarray(predicted, np.int64).reshape(-1)
    if truth.size != predicted.size:
        raise ValueError(f"expected as many predictions as true classes ({truth.size}), received {predicted.size}")
    for what, values in (("true", truth), ("predicted", predicted)):
        wrong = values[(values < 0) | (values >= classes)]
        if wrong.size:
            raise AgeGenderError(
                f"{what} class {wrong[0]}: expected 0 to {classes - 1}, as the net has {classes} classes; "
                "is it the right database?"
            )
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def corrects(matrix: np.ndarray) -> tuple[int, int]:
    """Return (number of correct predictions, number of all)."""
    return int(np.trace(matrix)), int(np.sum(matrix))


def format_matrix(matrix: np.ndarray, names: Sequence[str]) -> str:
    """Return accuracy and matrix byte for byte as AgeGenderPrediction's tool prints them.

    Classes that occur neither as true class nor as prediction have no row and no column.
    """
    correct, total = corrects(matrix)
    seen = [index for index in range(len(names)) if np.sum(matrix[index]) + np.sum(matrix[:, index])]
    text = f"Accuracy: {100.0 * correct / max(total, 1):.1f}%, {correct:d}/{total:d} corrects\n\nConfusion matrix:\n"
    text += "Actual\\Predict\t" + "".join(names[index] + "\t" for index in seen) + "\n"
    text += "\t\t" + "-" * _RULE + "\n"
    for row in seen:
        text += names[row] + "\t" + "".join(f"\t{matrix[row][column]:d}" for column in seen) + "\n"
    return text


def format_error(key: bytes, truth: int, predicted: int) -> str:
    """Return that tool's line for one mistake; `key` is the database's key."""
    return f"\rError: i={key!r}, expected {truth:d} but predicted {predicted:d}\n"
