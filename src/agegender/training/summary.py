"""Figures of runs in words and tables."""

from __future__ import annotations

from agegender.training.judge import VIEWS


def lines(summary):
    """A run's summary, a line an answer and view."""
    out = ["%d faces held back" % summary["faces"]]
    for task in ("age", "gender"):
        for view in VIEWS if task in summary else ():
            found = summary[task][view]
            text = "%s, %s: %.1f %% (95 %%: %.1f to %.1f)" % (
                task, view, 100 * found["accuracy"], *(100 * bound for bound in found["accuracy_95"]),
            )  # fmt: skip
            if "one_off" in found:
                text += ", 1-off %.1f %%, off by %.1f years" % (100 * found["one_off"], found["error_years"])
            out.append(text)
    return out
