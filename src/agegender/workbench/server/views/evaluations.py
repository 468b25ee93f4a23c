"""Evaluation: confusion matrix, the images of a cell, per-class metrics, calibration, worst mistakes, comparison."""

from __future__ import annotations

import os
from typing import Any

from starlette.requests import Request

from agegender.workbench.server import evaluation
from agegender.workbench.server.bench import Bench, NotFound, whole
from agegender.workbench.server.respond import Page
from agegender.workbench.server.scan import Item

PAGE = 60


def show(bench: Bench, request: Request) -> Page:
    """One evaluation."""
    item = bench.item(request, "evaluation")
    report = evaluation.read(bench.path(item))
    summary = report.summary
    matrix = report.matrix if report.keys else summary.get("matrix_rows_true_columns_predicted", [])
    values = {
        "title": str(summary.get("net", item.name)),
        "item": item.facts(),
        "summary": {key: value for key, value in summary.items() if not key.startswith(("matrix", "per_class"))},
        "labels": report.labels,
        "matrix": [[int(count) for count in row] for row in matrix],
        "per_class": evaluation.per_class(report) if report.keys else summary.get("per_class", []),
        "calibration": evaluation.calibration(report) if report.keys else None,
        "worst": images(bench, report, report.worst()),
        "others": [other.facts() for other in bench.scan.items("evaluation") if other != item],
        "ordered": "one_off_accuracy" in summary,
    }
    return Page("evaluation.html", values)


def database_of(bench: Bench, report: evaluation.Report) -> Item | None:
    """Return the database of an evaluation, by the path that the report records, if it is still there."""
    path = str(report.summary.get("database") or "")
    if os.path.isabs(path):
        path = os.path.relpath(path, bench.settings.root)
    path = os.path.normpath(path)
    return next((item for item in bench.scan.items("database") if item.path == path), None)


def images(bench: Bench, report: evaluation.Report, rows: list[int]) -> list[dict[str, Any]]:
    """Return images of an evaluation with their classes and probabilities."""
    database = database_of(bench, report)
    labels = report.labels
    found = []
    for row in rows:
        order = report.probabilities[row].argsort()[::-1][:3]
        key = evaluation.key_bytes(report.keys[row]).hex()
        found.append(
            {
                "name": report.keys[row],
                "image": f"/datasets/{database.id}/image/{key}" if database and key else None,
                "truth": labels[report.truth[row]],
                "predicted": labels[report.predicted[row]],
                "probability": float(report.confidence[row]),
                "top": [{"class": labels[i], "probability": float(report.probabilities[row, i])} for i in order],
            }
        )
    return found


def cell(bench: Bench, request: Request) -> Page:
    """The images of one cell of the matrix, the most confident first."""
    item = bench.item(request, "evaluation")
    report = evaluation.read(bench.path(item))
    truth, predicted = request.path_params["truth"], request.path_params["predicted"]
    if max(truth, predicted) >= len(report.labels):
        raise NotFound("no such cell of the matrix")
    rows = report.cell(truth, predicted)
    first = whole(request.query_params, "first", 0, 0, 10**9)
    values = {
        "title": f"{report.labels[truth]} predicted as {report.labels[predicted]}",
        "item": item.facts(),
        "truth": report.labels[truth],
        "predicted": report.labels[predicted],
        "right": truth == predicted,
        "total": len(rows),
        "first": first,
        "next": first + PAGE if first + PAGE < len(rows) else None,
        "images": images(bench, report, rows[first : first + PAGE]),
    }
    return Page("cell.html", values)


def compare(bench: Bench, request: Request) -> Page:
    """What differs between two evaluations of the same images."""
    items = [bench.find(request.query_params.get(name, ""), "evaluation") for name in ("a", "b")]
    first, second = (evaluation.read(bench.path(item)) for item in items)
    result = evaluation.compare(first, second)
    changed = {}
    for kind in ("fixed", "broken", "other"):
        rows = result.pop(kind)
        shown = zip(
            images(bench, first, [a for a, _ in rows[:PAGE]]), images(bench, second, [b for _, b in rows[:PAGE]])
        )
        changed[kind] = {"count": len(rows), "images": [{**b, "before": a["predicted"]} for a, b in shown]}
    values = {
        "title": "Comparison",
        "items": [item.facts() for item in items],
        "accuracies": [float(report.summary["accuracy"]) for report in (first, second)],
        **result,
        "changed": changed,
    }
    return Page("compare.html", values)
