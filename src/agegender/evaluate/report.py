"""The report of an evaluation, a directory: HTML, JSON, CSV, the confusion matrix, the worst mistakes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from agegender.evaluate import calibration, confusion, metrics, report_html
from agegender.evaluate.predictions import Predictions
from agegender.inference.labels import Labels
from caffe.utils import atomic_io
from caffe.utils.cli.commands import version
from caffe.utils.cli.safe_text import cell

MADE_BY = "agegender test"  # recorded in a report; only a report is replaced
WORST = 20  # mistakes shown


def write(
    folder: str,
    net: Any,
    predictions: Predictions,
    text: str,
    weights: str | None = None,
    database: str | None = None,
    backend: str = "lmdb",
) -> dict:
    """Write the report atomically and return the summary (the content of report.json).

    Parameters
    ----------
    folder : str
    net : object
        With attributes name, task and labels.
    predictions : Predictions
    text : str
        The printed accuracy and confusion matrix.
    weights : str, optional
        The caffemodel; its SHA-256 goes into the report.
    database : str, optional
        The evaluated database. Its images with the most confident mistakes are drawn.
    backend : str
        "lmdb" or "leveldb".
    """
    from agegender.evaluate import plots

    labels = net.labels
    matrix = confusion.count(predictions.truth, predictions.predicted, len(labels))
    values = {"net": net.name, "task": net.task, **summary(matrix, labels)}
    values.update(weights=_origin(weights), database=_text(database), made_by=f"agegender {version()}")
    reliability = calibration.bins(predictions.probabilities, predictions.truth)
    values["expected_calibration_error"] = calibration.error_of(reliability)
    values["reliability"] = reliability
    with atomic_io.atomic_folder(folder, MADE_BY) as temporary:
        files = {
            "report.json": json.dumps(values, indent=1) + "\n",
            "confusion.txt": text,
            "confusion.csv": matrix_csv(matrix, labels.names),
            "per_class.csv": per_class_csv(values["per_class"]),
            "predictions.csv": predictions_csv(predictions, labels.names),
        }
        for name, content in files.items():
            atomic_io.write_bytes(os.path.join(temporary, name), content)
        plots.draw_reliability(os.path.join(temporary, "reliability.png"), reliability, net.name)
        plots.draw_matrix(os.path.join(temporary, "confusion.png"), matrix, labels.names, net.name)
        images = ["confusion.png", "reliability.png"]
        if database is not None:
            mistakes = worst_mistakes(predictions)
            faces = plots.images_of(database, backend, [predictions.keys[index] for index in mistakes])
            path = os.path.join(temporary, "mistakes.png")
            plots.draw_mistakes(path, faces, mistakes, predictions, labels.names)
            images.append("mistakes.png")
        atomic_io.write_bytes(os.path.join(temporary, "report.html"), report_html.page(values, images))
    return values


def summary(matrix: np.ndarray, labels: Labels) -> dict:
    """Return all metrics of a confusion matrix as JSON values; those of neighbouring classes for ages only."""
    correct, total = confusion.corrects(matrix)
    majority, baseline = metrics.majority_baseline(matrix)
    rows = metrics.per_class(matrix)
    values = {
        "labels": list(labels.names),
        "matrix_rows_true_columns_predicted": np.asarray(matrix).tolist(),
        "corrects": correct,
        "total": total,
        "accuracy": metrics.accuracy(matrix),
        "accuracy_95": list(metrics.wilson_interval(correct, total)),
        "majority_class": labels.names[majority],
        "majority_baseline": baseline,
        "balanced_accuracy": metrics.macro(rows, "recall"),
        "macro_f1": metrics.macro(rows, "f1"),
        "per_class": [{"class": name, **row} for name, row in zip(labels.names, rows)],
    }
    if labels.bounds:
        values["one_off_accuracy"] = metrics.one_off_accuracy(matrix)
        values["mean_absolute_error_of_class_centre_years"] = metrics.mean_absolute_error(matrix, labels.centres())
    return values


def worst_mistakes(predictions: Predictions, most: int = WORST) -> list[int]:
    """Return the indices of wrong predictions, the most confident first."""
    wrong = np.flatnonzero(np.asarray(predictions.predicted) != predictions.truth)
    confidence = predictions.probabilities[wrong, np.asarray(predictions.predicted)[wrong]]
    return wrong[np.argsort(-confidence, kind="stable")][:most].tolist()


def matrix_csv(matrix: np.ndarray, names: Sequence[str]) -> str:
    """Return the matrix with both headers as CSV; rows are true classes."""
    rows: list[list] = [["actual\\predicted", *names]]
    return _csv(rows + [[name, *map(int, row)] for name, row in zip(names, matrix)])


def per_class_csv(rows: Sequence[dict]) -> str:
    """Return one CSV row per class; undefined metrics are empty."""
    return _csv([list(rows[0])] + [["" if value is None else value for value in row.values()] for row in rows])


def predictions_csv(predictions: Predictions, names: Sequence[str]) -> str:
    """Return one CSV row per image: key, true class, predicted class, probability of each class."""
    rows: list[list] = [["key", "actual", "predicted", *(f"p({name})" for name in names)]]
    columns = zip(predictions.keys, predictions.truth, predictions.predicted, predictions.probabilities)
    for key, truth, predicted, probabilities in columns:
        cells = [names[truth], names[predicted], *(f"{value:.6f}" for value in probabilities)]
        rows.append([key.decode("utf-8", "backslashreplace"), *cells])
    return _csv(rows)


def _csv(rows: Iterable[Sequence]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([cell(value) if isinstance(value, str) else value for value in row] for row in rows)
    return stream.getvalue()


def _origin(weights: str | None) -> dict | None:
    if weights is None:
        return None
    with open(weights, "rb") as stream:
        return {"path": _text(weights), "sha256": hashlib.sha256(stream.read()).hexdigest()}


def _text(path: str | None) -> str | None:
    return None if path is None else os.fspath(path)
