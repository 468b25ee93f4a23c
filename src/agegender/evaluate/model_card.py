"""The model card of a trained net (Mitchell et al. 2019): purpose, training data, accuracy overall and by group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agegender.datasets import split_lmdbs
from agegender.datasets.sample import RACES
from agegender.evaluate.evaluate import EVALUATION_MODES
from agegender.evaluate.summary import format_metrics, tasks
from agegender.zoo import temperatures

if TYPE_CHECKING:
    from agegender.training.run import Run
    from agegender.zoo.model import Net

MODES = {
    "plain": "the image alone",
    "flip": "mean with the mirror image",
    "fp16": "in FP16, as a stick computes (emulated)",
    "int8": "in INT8 on a CPU",
}
USE = """## Intended use

Research, teaching and demonstrations: the ages of groups of faces by decade, and the two genders that the labels know.
The net predicts how a face looks to the people who labelled the images, not who a person is. Do not use it for
decisions about a person: not for admission, age checks, targeted advertising or surveillance.

## Limits

* It was trained and evaluated only on faces of the groups above.
* Faces must be cropped and upright as in training; `--detect` does that for photographs.
* Labels are guesses from images, and some are wrong. Genders of children are predicted much worse than those of adults.
* The figures come from one split; their intervals do not cover faces of other collections.
* The terms of the training images may bind the weights: UTKFace allows non-commercial research only.
"""


def text(run: Run, summary: dict, parts: dict[str, list], iterations: int) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    run : Run
    summary : dict
        As `evaluate.evaluate` returns it.
    parts : dict
        The names of the faces in train_lmdb, test_lmdb and, if there is one, validation_lmdb.
    iterations : int
    """
    recipe, nets = run.recipe, run.recipe.nets()
    trained, held_out = (len(parts[part]) for part in (split_lmdbs.TRAIN, split_lmdbs.TEST))
    option = " --validation" if run.validation else ""
    option += f" --leave-out {','.join(RACES[race] for race in run.leave_out)}" if run.leave_out else ""
    height, width = nets[0].shape[1:]
    groups = ", ".join(RACES[race] for race in run.races)
    lines = [
        f"# {recipe.title}, seed {run.seed}\n",
        f"`agegender train --recipe {recipe.name} --seed {run.seed}{option}` ({iterations} iterations of "
        f"{recipe.batch} images, {run.precision})\n",
        f"* **Outputs**: {'; '.join(map(_output, nets))}.",
        f"* **Input**: {height} x {width} pixels, {nets[0].transform().order}, aligned faces.",
        f"* **Faces**: {trained} for training, {held_out} held out; named as UTKFace names them, group: {groups}. No "
        "face occurs twice, and no held-out face has a near-duplicate in the training part.",
    ]
    if recipe.features:
        origin = nets[0].origin
        lines.append(f"* **Initial weights**: {origin.file} ({origin.licence}).")
    if recipe.teacher:
        lines.append(f"* **Distilled from**: recipe `{recipe.teacher}` on the same faces.")
    if recipe.teachers:
        lines.append(f"* **Distilled from**: {', '.join(recipe.teachers)}, combined by nets that never saw the face.")
    if fitted := temperatures.of(run.weights):
        values = ", ".join(f"{task} {value:.2f}" for task, value in fitted.items())
        faces = len(parts.get(split_lmdbs.VALIDATION, ()))
        lines.append(
            f"* **Temperatures**: {values}, fitted on {faces} other faces. Calibration error: {_errors(summary)}."
        )
    return "\n".join([*lines, "", _accuracy(summary), "", _groups(summary), "", USE])


def _errors(summary: dict) -> str:
    return ", ".join(f"{task} {summary[task]['plain']['ece']:.3f}" for task in tasks(summary))


def _output(net: Net) -> str:
    names = net.labels.names
    classes = ", ".join(names) if len(names) < 12 else f"{names[0]} to {names[-1]} years, reported in decades"
    return f"{net.task} ({classes}; {net.parameters:,} parameters)"


def _accuracy(summary: dict) -> str:
    names = tasks(summary)
    majority = " | ".join(f"{_majority(summary, task):.1f} %" for task in names)
    rows = ["## Accuracy\n", f"| | {' | '.join(names)} |", "| --- |" + " --- |" * len(names)]
    rows.append(f"| always the most frequent class | {majority} |")
    for mode in (mode for mode in EVALUATION_MODES if mode in summary[names[0]]):
        rows.append(f"| {MODES[mode]} | {' | '.join(format_metrics(summary[task][mode]) for task in names)} |")
    return "\n".join(rows)


def _majority(summary: dict, task: str) -> float:
    groups = summary[task]["plain"]["by_sex" if task == "gender" else "by_decade"].values()
    return 100 * max(group["faces"] for group in groups) / summary["faces"]


def _groups(summary: dict) -> str:
    names = tasks(summary)
    rows = [
        "## Accuracy by group, the image alone\n",
        f"| | faces | {' | '.join(names)} |",
        "| --- | --- |" + " --- |" * len(names),
    ]
    gaps = dict.fromkeys(names, 0.0)
    for kind in ("by_decade", "by_sex"):
        groups = [summary[task]["plain"][kind] for task in names]
        for name, group in groups[0].items():
            cells = " | ".join(f"{100 * by_name[name]['accuracy']:.0f} %" for by_name in groups)
            rows.append(f"| {name} | {group['faces']} | {cells} |")
        for task, by_name in zip(names, groups):
            accuracies = [row["accuracy"] for row in by_name.values()]
            gaps[task] = max(gaps[task], max(accuracies) - min(accuracies))
    rows.append("")
    rows.append(
        "Largest gap between groups: " + ", ".join(f"{task} {100 * gaps[task]:.0f} points" for task in names) + "."
    )
    return "\n".join(rows)
