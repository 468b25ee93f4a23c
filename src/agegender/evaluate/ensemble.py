"""Several nets that answer as one: the mean of their probabilities (an ensemble), on the faces held back from all of them."""

from __future__ import annotations

import os

from agegender.errors import AgeGenderError
from agegender.evaluate import evaluate
from agegender.training import lmdbs
from agegender.training.run import REPORT


def summary(runs):
    """What `judge.judge` returns, of finished Runs of one split, all nets alike, in the ways in which all were judged.

    Raises AgeGenderError where their faces, answers or classes differ.
    """
    keys, labels = _truth(runs[0])
    for run in runs[1:]:
        if _truth(run)[0] != keys:
            raise AgeGenderError(f"{runs[0].folder} and {run.folder} were not judged on the same faces")
    out = {"faces": len(keys)}
    for task in runs[0].recipe.targets:
        nets = [_net(run, task) for run in runs]
        if len({frozenset(net.labels.names) for net in nets}) > 1:
            raise AgeGenderError("{} tell {} in different classes".format(" and ".join(net.name for net in nets), task))
        told = [_answers(run, net, net.labels.indices_of(nets[0].labels.names)) for run, net in zip(runs, nets)]
        views = [view for view in told[0] if all(view in one for one in told)]
        mean = {view: sum(one[view] for one in told) / len(told) for view in views}
        out[task] = {
            view: evaluate.compute_metrics(nets[0], probabilities, labels) for view, probabilities in mean.items()
        }
    return out


def _truth(run):
    """The names of the faces and their labels, in one order for all nets."""
    keys, labels = evaluate.truth(os.path.join(run.folder, lmdbs.TEST), run.recipe.gender_labels())
    return [key.partition(b"_")[2] for key in keys], labels


def _net(run, task):
    found = next((net for net in run.recipe.nets() if net.task == task), None)
    if found is None:
        raise AgeGenderError(f"recipe '{run.recipe.name}' does not answer {task}")
    return found


def _answers(run, net, order):
    """{view: (N, classes)} in the order of the first net's classes."""
    told = evaluate.read_probabilities(os.path.join(run.folder, REPORT), net.task)
    return {view: probabilities[:, order] for view, probabilities in told.items()}
