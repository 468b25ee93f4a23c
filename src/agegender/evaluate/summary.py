"""Summaries of evaluations as text and as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from agegender.evaluate.evaluate import EVALUATION_MODES

TASKS = ("gender", "age")


def lines(summary: dict) -> list[str]:
    """Return one line per task and mode of the summary that `evaluate.evaluate` returns."""
    out = [f"{summary['faces']} held-out faces"]
    for task in tasks(summary):
        modes = [mode for mode in EVALUATION_MODES if mode in summary[task]]
        out += [f"{task}, {mode}: {format_metrics(summary[task][mode])}" for mode in modes]
    return out


def image_lines(summary: dict) -> list[str]:
    """Return the summary that `evaluate.evaluate_images` returns as text: all faces, then each decade."""
    out = [f"faces: {summary['faces']}"]
    out += [f"{task}: {format_metrics(summary[task])}" for task in tasks(summary)]
    out.append(f"{'decade':<8}{'faces':>7}{'age error':>11}{'age class':>11}{'gender':>9}")
    for decade, row in summary[tasks(summary)[0]]["by_decade"].items():
        age, gender = (summary[task]["by_decade"][decade] if task in summary else None for task in ("age", "gender"))
        cells = [
            f"{age['error_years']:.1f}" if age else "-",
            f"{100 * age['accuracy']:.0f} %" if age else "-",
            f"{100 * gender['accuracy']:.0f} %" if gender else "-",
        ]
        out.append(f"{decade:<8}{row['faces']:>7}{cells[0]:>11}{cells[1]:>11}{cells[2]:>9}")
    return out


def tasks(summary: dict) -> list[str]:
    """Return the tasks of a summary, in order."""
    return [task for task in TASKS if task in summary]


def format_metrics(metrics: dict) -> str:
    """Return the metrics of one task and mode as text."""
    low, high = (100 * bound for bound in metrics["accuracy_95"])
    text = f"{100 * metrics['accuracy']:.1f} % (95 % interval {low:.1f} to {high:.1f})"
    if "one_off" in metrics:
        text += f", 1-off {100 * metrics['one_off']:.1f} %, mean absolute error {metrics['error_years']:.1f} years"
    return text


def table(summaries: Mapping[str, Sequence[dict]]) -> str:
    """Return a Markdown table of {name: [summary per seed]}, one row per mode: means and standard deviations."""
    rows = [
        "| recipe | seeds | mode | gender | age | 1-off | MAE (years) |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, seeds in summaries.items():
        names = tasks(seeds[0])
        modes = [mode for mode in EVALUATION_MODES if all(mode in seed[task] for seed in seeds for task in names)]
        for mode in modes:
            cells = [
                _cell(seeds, "gender", mode, "accuracy", 100),
                _cell(seeds, "age", mode, "accuracy", 100),
                _cell(seeds, "age", mode, "one_off", 100),
                _cell(seeds, "age", mode, "error_years", 1),
            ]
            rows.append(f"| {name} | {len(seeds)} | {mode} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(summaries: Sequence[dict], task: str, mode: str, metric: str, factor: float) -> str:
    """Return the mean of one metric over the seeds and its standard deviation; "-" if the net lacks the task."""
    values = [factor * summary[task][mode][metric] for summary in summaries if task in summary]
    if not values:
        return "-"
    digits, unit = (1, " %") if factor == 100 else (2, "")
    if len(values) == 1:
        return f"{values[0]:.{digits}f}{unit}"
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}{unit}"
