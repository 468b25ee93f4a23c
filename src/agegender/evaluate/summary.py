"""Figures of runs in words and tables."""

from __future__ import annotations

import numpy as np

from agegender.evaluate.evaluate import EVALUATION_MODES

TASKS = ("gender", "age")


def lines(summary):
    """A run's summary, a line an answer and view."""
    out = ["%d faces held back" % summary["faces"]]
    for task in tasks(summary):
        out += [f"{task}, {view}: {figure(summary[task][view])}" for view in EVALUATION_MODES if view in summary[task]]
    return out


def tasks(summary):
    """The answers of a run's summary, in order."""
    return [task for task in TASKS if task in summary]


def figure(found):
    """One answer's figures in one view, in words."""
    text = "{:.1f} % (95 %: {:.1f} to {:.1f})".format(
        100 * found["accuracy"], *(100 * bound for bound in found["accuracy_95"])
    )
    if "one_off" in found:
        text += ", 1-off {:.1f} %, off by {:.1f} years".format(100 * found["one_off"], found["error_years"])
    return text


def table(found):
    """Markdown of {name: [summary, one a seed]}, a row a view: means over the seeds, with deviations where there are several."""
    rows = [
        "| recipe | seeds | view | gender | age | 1-off | years off |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, summaries in found.items():
        told = tasks(summaries[0])
        for view in (
            view for view in EVALUATION_MODES if all(view in summary[task] for summary in summaries for task in told)
        ):
            cells = [
                _cell(summaries, "gender", view, "accuracy", 100), _cell(summaries, "age", view, "accuracy", 100),
                _cell(summaries, "age", view, "one_off", 100), _cell(summaries, "age", view, "error_years", 1),
            ]  # fmt: skip
            rows.append("| %s | %d | %s | %s |" % (name, len(summaries), view, " | ".join(cells)))
    return "\n".join(rows)


def _cell(summaries, task, view, figure, factor):
    """Mean of one figure over runs, and its sample deviation; a dash where the net does not tell it."""
    values = [factor * summary[task][view][figure] for summary in summaries if task in summary]
    if not values:
        return "-"
    digits = 1 if factor == 100 else 2
    unit = " %" if factor == 100 else ""
    if len(values) == 1:
        return "%.*f%s" % (digits, values[0], unit)
    return "%.*f ± %.*f%s" % (digits, np.mean(values), digits, np.std(values, ddof=1), unit)
