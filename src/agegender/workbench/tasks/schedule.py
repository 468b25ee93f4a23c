"""The learning rate of a solver at evenly spaced iterations, drawn before the start."""

from __future__ import annotations

from typing import Any

from agegender.workbench.tasks import run_files
from caffe.solver import policies

POINTS = 400


def points(solver: Any) -> list[list[float]]:
    """Return [[iteration, learning rate], ...]."""
    policies.check(solver)
    rows, current = [], 0
    step = max(1, solver.max_iter // POINTS)
    for iteration in range(0, solver.max_iter, step):
        current = policies.advance(solver, iteration, current)
        rows.append([float(iteration), float(policies.learning_rate(solver, iteration, current))])
    return rows


def answer(values: dict[str, Any]) -> dict[str, Any]:
    """Return the schedule of a request."""
    _, solver = run_files.read(values)
    return {"schedule": points(solver)}
