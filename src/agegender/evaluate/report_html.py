"""The report of an evaluation as one HTML page next to its images, in the styles of `ncs profile`."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from caffe.utils.cli.safe_text import printable
from ncs.profile import styles

_FACTS = {
    "accuracy": "Accuracy",
    "one_off_accuracy": "1-off",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "majority_baseline": "Most common class",
}
_CLASS_COLUMNS = ("precision", "recall", "f1")


def page(values: dict[str, Any], images: Sequence[str]) -> str:
    """Return the page of a report.

    Parameters
    ----------
    values : dict
        The content of report.json.
    images : sequence of str
        File names of images in the report's directory.
    """
    low, high = values["accuracy_95"]
    facts = [(name, _percent(values[key])) for key, name in _FACTS.items() if key in values]
    facts += [("95 % interval", f"{_percent(low)} to {_percent(high)}"), ("Images", str(values["total"]))]
    parts = [
        _section("Summary", _table(("", ""), facts)),
        _section("Confusion matrix: rows are true classes, columns predictions", _matrix(values)),
        _section("Per class", _per_class(values["per_class"])),
    ]
    parts += [_section("", f'<img src="{_escaped(name)}" alt="{_escaped(name)}">') for name in images]
    source = f"{values.get('database')}, {(values.get('weights') or {}).get('path')}"
    parts.append(f'<p class="soft small">{_escaped(source)}</p>\n')
    return styles.page(_escaped(f"{values['net']}: evaluation"), "".join(parts))


def _matrix(values: dict[str, Any]) -> str:
    labels = values["labels"]
    rows = [
        (label, *map(str, row)) for label, row in zip(labels, values["matrix_rows_true_columns_predicted"], strict=True)
    ]
    return _table(("", *labels), rows)


def _per_class(rows: Sequence[dict[str, Any]]) -> str:
    cells = [(row["class"], str(row["support"]), *(_percent(row[key]) for key in _CLASS_COLUMNS)) for row in rows]
    return _table(("Class", "Images", "Precision", "Recall", "F1"), cells)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head, body = _row("th", header), "\n".join(_row("td", row) for row in rows)
    return f"<table><thead>{head}</thead><tbody>\n{body}</tbody></table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    """Return a table row whose cells after the first are numbers."""
    first, *others = map(_escaped, cells)
    return f"<tr><{tag}>{first}</{tag}>" + "".join(f'<{tag} class="number">{c}</{tag}>' for c in others) + "</tr>"


def _section(title: str, content: str) -> str:
    heading = f"<h2>{_escaped(title)}</h2>\n" if title else ""
    return f'<section class="wide">{heading}{content}</section>\n'


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _escaped(text: str) -> str:
    return html.escape(printable(str(text)))
