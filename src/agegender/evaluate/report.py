"""All about a judged net in a folder: JSON, CSV, the matrix as text and picture, the worst mistakes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os

import numpy as np

from agegender.evaluate import confusion, metrics
from caffe.safe_text import cell
from caffe.utils import atomic_io
from caffe.utils.commands import version

WORST = 20  # mistakes shown


MADE_BY = "agegender test"  # a report replaces a report, and no other folder


def write(folder, net, scores, text, weights=None, database=None, backend="lmdb"):
    """Write the report into `folder`, as a whole; returns the summary (report.json's content).

    `net` has name, task, labels; `scores` keys (bytes), truth, predicted (N), probabilities (N x classes);
    `text` is the printed accuracy and matrix; `database` the path of the judged pictures, of which the most
    confidently misjudged are shown (None: no picture of mistakes).
    """
    from agegender.evaluate import plots

    labels = net.labels
    matrix = confusion.count(scores.truth, scores.predicted, len(labels))
    told = {"net": net.name, "task": net.task, **summary(matrix, labels)}
    told.update(weights=_origin(weights), database=_spelled(database), made_by=f"agegender {version()}")
    with atomic_io.atomic_folder(folder, MADE_BY) as temporary:

        def put(name, data):
            atomic_io.write_bytes(os.path.join(temporary, name), data)

        put("report.json", json.dumps(told, indent=1) + "\n")
        put("confusion.txt", text)
        put("confusion.csv", matrix_csv(matrix, labels.names))
        put("per_class.csv", per_class_csv(told["per_class"]))
        put("predictions.csv", predictions_csv(scores, labels.names))
        plots.draw_matrix(os.path.join(temporary, "confusion.png"), matrix, labels.names, net.name)
        if database is not None:
            mistakes = worst_mistakes(scores)
            pictures = plots.pictures_of(database, backend, [scores.keys[index] for index in mistakes])
            plots.draw_mistakes(os.path.join(temporary, "mistakes.png"), pictures, mistakes, scores, labels.names)
    return told


def summary(matrix, labels):
    """Every figure of a matrix as JSON values; those of neighbouring classes for ages only."""
    right, total = confusion.corrects(matrix)
    majority, baseline = metrics.majority_baseline(matrix)
    rows = metrics.per_class(matrix)
    told = {
        "labels": list(labels.names),
        "matrix_rows_true_columns_predicted": np.asarray(matrix).tolist(),
        "corrects": right,
        "total": total,
        "accuracy": metrics.accuracy(matrix),
        "accuracy_95": list(metrics.wilson_interval(right, total)),
        "majority_class": labels.names[majority],
        "majority_baseline": baseline,
        "balanced_accuracy": metrics.macro(rows, "recall"),
        "macro_f1": metrics.macro(rows, "f1"),
        "per_class": [{"class": name, **row} for name, row in zip(labels.names, rows)],
    }
    if labels.bounds:
        told["one_off_accuracy"] = metrics.one_off_accuracy(matrix)
        told["mean_absolute_error_of_class_centre_years"] = metrics.mean_absolute_error(matrix, labels.centres())
    return told


def worst_mistakes(scores, most=WORST):
    """Indices of wrong answers, the most confident first."""
    wrong = np.flatnonzero(np.asarray(scores.predicted) != scores.truth)
    confidence = scores.probabilities[wrong, np.asarray(scores.predicted)[wrong]]
    return wrong[np.argsort(-confidence, kind="stable")][:most].tolist()


def matrix_csv(matrix, names):
    """The matrix with both headers; rows are the truth."""
    rows = [["actual\\predicted", *names]]
    return _csv(rows + [[name, *map(int, row)] for name, row in zip(names, matrix)])


def per_class_csv(rows):
    """One line a class; undefined figures are empty."""
    return _csv([list(rows[0])] + [["" if value is None else value for value in row.values()] for row in rows])


def predictions_csv(scores, names):
    """One line a picture: key, truth, prediction, probability of each class."""
    rows = [["key", "actual", "predicted", *(f"p({name})" for name in names)]]
    for key, truth, predicted, line in zip(scores.keys, scores.truth, scores.predicted, scores.probabilities):
        said = [names[truth], names[predicted], *(f"{value:.6f}" for value in line)]
        rows.append([key.decode("utf-8", "backslashreplace"), *said])
    return _csv(rows)


def _csv(rows):
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([cell(value) if isinstance(value, str) else value for value in row] for row in rows)
    return stream.getvalue()


def _origin(weights):
    if weights is None:
        return None
    with open(weights, "rb") as stream:
        return {"path": _spelled(weights), "sha256": hashlib.sha256(stream.read()).hexdigest()}


def _spelled(path):
    return None if path is None else os.fspath(path)
