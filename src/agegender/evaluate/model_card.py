"""The model card of a trained net (Mitchell et al. 2019): what it is for, what it learned from, how often it errs on whom."""

from __future__ import annotations

from agegender.datasets.sample import RACES
from agegender.evaluate.evaluate import EVALUATION_MODES
from agegender.evaluate.summary import figure, tasks

ABOUT = {
    "plain": "the picture alone",
    "mirrored": "with its mirror image",
    "fp16": "in FP16, as a stick computes (emulated)",
    "int8": "in INT8 on a processor",
}
USE = """## For what

For research, teaching and demonstrations: groups of faces told by decade and by the two genders that the labels know.
It tells how a face looks to those who wrote the labels, not who somebody is. It is not for decisions about a person: not for
admission, age checks, advertising to one, or surveillance.

## Limits

* It learned here from faces of the group above only, and was judged on no others.
* Faces have to be cut out and upright as in training; from photographs `--detect` does that.
* Labels are guesses from pictures, and some are wrong. Genders of children are told much worse than those of adults.
* The figures are of one split; its interval says nothing of faces from elsewhere.
* What was learned from pictures may be bound by their terms: UTKFace's allow research that is not commercial.
"""


def text(run, summary, sides, iterations):
    """Markdown for a training.run.Run: `summary` as judge wrote it, `sides` the names on either side of the split."""
    recipe, nets = run.recipe, run.recipe.nets()
    learned, judged = (len(names) for names in sides.values())
    lines = [
        "# %s, seed %d\n" % (recipe.title, run.seed),
        "`agegender train --recipe %s --seed %d%s` (%d iterations of %d pictures, %s)\n" % (
            recipe.name, run.seed, " --validation" if run.validation else "", iterations, recipe.batch, run.precision),
        "* **Answers**: {}.".format("; ".join(
            "{} ({}, {} parameters)".format(net.task, ", ".join(_classes(net)), f"{net.parameters:,}") for net in nets)),
        "* **Pictures**: %d x %d pixels, %s, aligned faces." % (*nets[0].shape[1:], nets[0].transform().order),
        "* **Faces**: %d to learn from, %d others to judge by, of UTKFace's naming, group: %s; none twice, none judged whose "
        "near-twin is learned from." % (
            learned, judged, ", ".join(RACES[race] for race in run.races)),
    ]  # fmt: skip
    if recipe.features:
        origin = nets[0].origin
        lines.append(f"* **Began as**: {origin.file} ({origin.licence}).")
    if recipe.teacher:
        lines.append(f"* **Taught by**: recipe `{recipe.teacher}` on the same faces.")
    return "\n".join([*lines, "", _accuracy(summary), "", _groups(summary), "", USE])


def _classes(net):
    names = net.labels.names
    return names if len(names) < 12 else [f"{names[0]} to {names[-1]}, told in decades"]


def _accuracy(summary):
    told = tasks(summary)
    rows = ["## How often it is right\n", "| | {} |".format(" | ".join(told)), "| --- |" + " --- |" * len(told)]
    rows.append(
        "| always the commonest class | {} |".format(" | ".join(f"{_commonest(summary, task):.1f} %" for task in told))
    )
    for view in (view for view in EVALUATION_MODES if view in summary[told[0]]):
        rows.append("| {} | {} |".format(ABOUT[view], " | ".join(figure(summary[task][view]) for task in told)))
    return "\n".join(rows)


def _commonest(summary, task):
    groups = summary[task]["plain"]["by_sex" if task == "gender" else "by_decade"].values()
    return 100 * max(group["faces"] for group in groups) / summary["faces"]


def _groups(summary):
    told = tasks(summary)
    rows = [
        "## By group, the picture alone\n",
        "| | faces | {} |".format(" | ".join(told)),
        "| --- | --- |" + " --- |" * len(told),
    ]
    for kind in ("by_decade", "by_sex"):
        groups = [summary[task]["plain"][kind] for task in told]
        for title, group in groups[0].items():
            cells = " | ".join("%.0f %%" % (100 * found[title]["accuracy"]) for found in groups)
            rows.append("| %s | %d | %s |" % (title, group["faces"], cells))
    return "\n".join(rows)
