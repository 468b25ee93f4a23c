"""Evaluate nets on a collection of faces that they were not trained on: one table per net, by decade and sex."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from agegender.errors import AgeGenderError
from agegender.evaluate import calibration, metrics
from agegender.evaluate.evaluate import expected_years, to_evaluation_classes
from agegender.inference.labels import AGE_TRINGN, MALE_FIRST

if TYPE_CHECKING:
    from agegender.datasets.sample import Sample
    from agegender.inference.net_predictor import NetPredictor
    from agegender.inference.predict import FacePredictor

SMALLEST = 20  # faces of a group that the largest gap counts


def evaluate(
    predictor: FacePredictor,
    samples: Sequence[Sample],
    years: bool = True,
    step: Callable[[int], object] = lambda count: None,
) -> dict[str, Any]:
    """Predict a collection and compare with its labels.

    Parameters
    ----------
    predictor : FacePredictor
        Of photographs, it takes the largest face.
    samples : sequence of Sample
    years : bool
        Whether the ages are years; else the error in years is left out.
    step : callable
        Called with 1 per image.

    Returns
    -------
    dict
        "faces", "without_face", "warnings" (images with a framing warning) and, per task: faces, accuracy, accuracy_95,
        ece, groups (by decade, sex, decade and sex, group) and largest_gap; for ages one_off and error_years.
    """
    rows: dict[str, list[tuple[int, list[float]]]] = {}
    missing, warnings = 0, 0
    nets = {net.output_name: net for net in reversed(predictor.nets)}
    for index, result in enumerate(predictor.predict([sample.path for sample in samples])):
        step(1)
        warnings += bool(result.warnings)
        if not result.predictions:
            missing += 1
            continue
        for name, output in result.predictions[0].answers.items():
            rows.setdefault(name, []).append((index, output.probabilities))
    out: dict[str, Any] = {"faces": len(samples), "without_face": missing, "warnings": warnings}
    for name, values in rows.items():
        net = nets[name]
        label = net.task
        known = [(i, row) for i, row in values if (samples[i].age if label == "age" else samples[i].gender) is not None]
        if label and known:
            chosen = [samples[index] for index, _ in known]
            out[label] = task_metrics(net, np.array([row for _, row in known]), chosen, years)
    if not {"age", "gender"} & set(out):
        raise AgeGenderError("no face was predicted that has a label")
    return out


def task_metrics(
    net: NetPredictor, probabilities: np.ndarray, samples: Sequence[Sample], years: bool = True
) -> dict[str, Any]:
    """Return the metrics of one task as `evaluate` describes them; every sample has its label."""
    _, classes = to_evaluation_classes(net, probabilities)  # type: ignore[arg-type]
    classes = classes / classes.sum(1, keepdims=True)
    truth = np.array([s.age_class if net.task == "age" else s.gender for s in samples], int)
    predicted = classes.argmax(1)
    values: dict[str, np.ndarray] = {"correct": predicted == truth}
    if net.task == "age":
        values["one_off"] = np.abs(predicted - truth) <= 1
        if years:
            ages = np.array([sample.age for sample in samples])
            values["error_years"] = expected_years(net, probabilities) - ages  # type: ignore[arg-type]
    out = _row(values, np.ones(len(truth), bool))
    out["ece"] = calibration.expected_calibration_error(classes, truth)
    out["reliability"] = calibration.bins(classes, truth)
    out["groups"] = {
        kind: {name: _row(values, members) for name, members in groups.items()}
        for kind, groups in _groups(samples).items()
    }
    out["largest_gap"] = largest_gap(out["groups"])
    return out


def _row(values: dict[str, np.ndarray], members: np.ndarray) -> dict[str, Any]:
    correct = values["correct"][members]
    row: dict[str, Any] = {
        "faces": len(correct),
        "accuracy": float(correct.mean()),
        "accuracy_95": list(metrics.wilson_interval(int(correct.sum()), len(correct))),
    }
    if "one_off" in values:
        row["one_off"] = float(values["one_off"][members].mean())
    if "error_years" in values:
        error = values["error_years"][members]
        row["error_years"], row["bias_years"] = float(np.abs(error).mean()), float(error.mean())
    return row


def _groups(samples: Sequence[Sample]) -> dict[str, dict[str, np.ndarray]]:
    """Return {kind: {group: (N,) bool}} of the groups that have faces."""
    from agegender.datasets.sample import RACES

    decades = [AGE_TRINGN.names[s.age_class] if s.age_class is not None else "" for s in samples]
    sexes = [MALE_FIRST.names[s.gender] if s.gender is not None else "" for s in samples]
    both = [f"{decade} {sex}" if decade and sex else "" for decade, sex in zip(decades, sexes)]
    races = [RACES[s.race] if s.race is not None else "" for s in samples]
    older = [f"50-120 {sex}" if s.age is not None and s.age >= 50 and sex else "" for s, sex in zip(samples, sexes)]
    names = {
        "decade": AGE_TRINGN.names,
        "sex": MALE_FIRST.names,
        "decade and sex": [f"{decade} {sex}" for decade in AGE_TRINGN.names for sex in MALE_FIRST.names],
        "50 and older": [f"50-120 {sex}" for sex in MALE_FIRST.names],
        "group": RACES,
    }
    of_kind = {"decade": decades, "sex": sexes, "decade and sex": both, "50 and older": older, "group": races}
    out = {}
    for kind, labels in of_kind.items():
        array = np.array(labels)
        groups = {name: array == name for name in names[kind] if (array == name).any()}
        if groups:
            out[kind] = groups
    return out


def largest_gap(groups: dict[str, dict[str, dict]]) -> dict[str, Any]:
    """Return the largest difference of accuracy between groups of one kind with at least SMALLEST faces."""
    gap: dict[str, Any] = {"points": 0.0, "best": "", "worst": ""}
    for rows in groups.values():
        large = {name: row["accuracy"] for name, row in rows.items() if row["faces"] >= SMALLEST}
        if len(large) > 1:
            best, worst = max(large, key=large.__getitem__), min(large, key=large.__getitem__)
            points = 100 * (large[best] - large[worst])
            if points > gap["points"]:
                gap = {"points": points, "best": best, "worst": worst}
    return gap


def overview(results: dict[str, dict]) -> str:
    """Return a Markdown table of {net: what `evaluate` returns}, one row per net."""
    lines = [
        "| net | faces | gender | men | women | women from 50 on | age class | 1-off | MAE (years) | ECE gender, age |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, result in results.items():
        gender, age = result.get("gender"), result.get("age")
        sexes, older = (gender["groups"].get(kind, {}) if gender else {} for kind in ("sex", "50 and older"))
        cells = [
            str(result["faces"] - result["without_face"]),
            _accuracy(gender),
            _percent(sexes.get("Male")),
            _percent(sexes.get("Female")),
            _percent(older.get("50-120 Female")),
            _accuracy(age),
            f"{100 * age['one_off']:.1f} %" if age else "-",
            f"{age['error_years']:.1f}" if age and "error_years" in age else "-",
            ", ".join(f"{task['ece']:.3f}" for task in (gender, age) if task),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def by_group(result: dict) -> str:
    """Return a Markdown table of one net by decade, sex, both, and group, with 95 % intervals."""
    tasks = [task for task in ("gender", "age") if task in result]
    lines = [
        "| | faces | "
        + " | ".join("gender" if task == "gender" else "age class | error, bias" for task in tasks)
        + " |",
        "| --- | --- |" + " --- |" * (len(tasks) + ("age" in tasks)),
    ]
    first = result[tasks[0]]["groups"]
    for kind, groups in first.items():
        for name, row in groups.items():
            cells = []
            for task in tasks:
                other = result[task]["groups"].get(kind, {}).get(name)
                cells.append(_accuracy(other))
                if task == "age":
                    known = other is not None and "error_years" in other
                    cells.append(f"{other['error_years']:.1f}, {other['bias_years']:+.1f}" if known else "-")
            lines.append(f"| {name} | {row['faces']} | {' | '.join(cells)} |")
    gaps = [
        f"{task} {gap['points']:.0f} points ({gap['best']} and {gap['worst']})"
        for task in tasks
        if (gap := result[task]["largest_gap"])["points"]
    ]
    if gaps:
        lines += ["", f"Largest gap between groups of at least {SMALLEST} faces: {', '.join(gaps)}."]
    return "\n".join(lines)


def _percent(row: dict | None) -> str:
    return f"{100 * row['accuracy']:.1f} %" if row else "-"


def _accuracy(row: dict | None) -> str:
    if not row:
        return "-"
    low, high = (100 * bound for bound in row["accuracy_95"])
    return f"{100 * row['accuracy']:.1f} % ({low:.1f} to {high:.1f})"
