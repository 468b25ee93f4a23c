"""Ensembles: the mean of the probabilities of several trained nets, on the faces held out from all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from agegender.datasets import split_lmdbs
from agegender.errors import AgeGenderError
from agegender.evaluate import evaluate

if TYPE_CHECKING:
    from agegender.training.run import Run
    from agegender.zoo.model import Net

REPORT = "report"


def summary(runs: Sequence[Run]) -> dict:
    """Evaluate the ensemble of finished runs of one split, in the modes that all of them were evaluated in.

    Returns
    -------
    dict
        As `evaluate.evaluate` returns it.

    Raises
    ------
    AgeGenderError
        If faces, tasks or classes of the runs differ.
    """
    keys, truth = _truth(runs[0])
    for run in runs[1:]:
        if _truth(run)[0] != keys:
            raise AgeGenderError(f"{runs[0].folder} and {run.folder} were evaluated on different faces")
    out: dict[str, Any] = {"faces": len(keys)}
    for task in runs[0].recipe.targets:
        nets = [_net(run, task) for run in runs]
        if len({frozenset(net.labels.names) for net in nets}) > 1:
            names = " and ".join(net.name for net in nets)
            raise AgeGenderError(f"{names} predict {task} in different classes")
        order = nets[0].labels.names
        members = [_probabilities(run, net, net.labels.indices_of(order)) for run, net in zip(runs, nets)]
        modes = [mode for mode in members[0] if all(mode in member for member in members)]
        mean = {mode: np.mean([member[mode] for member in members], axis=0) for mode in modes}
        out[task] = {mode: evaluate.compute_metrics(nets[0], values, truth) for mode, values in mean.items()}
    return out


def _truth(run: Run) -> tuple[list[bytes], dict[str, np.ndarray]]:
    """Return the names of the faces and their labels, in the order all runs share."""
    keys, truth = evaluate.lmdb_truth(os.path.join(run.folder, split_lmdbs.TEST), run.recipe.gender_labels())
    return [key.partition(b"_")[2] for key in keys], truth


def _net(run: Run, task: str) -> Net:
    net = next((net for net in run.recipe.nets() if net.task == task), None)
    if net is None:
        raise AgeGenderError(f"recipe '{run.recipe.name}' does not predict {task}")
    return net


def _probabilities(run: Run, net: Net, order: Sequence[int]) -> dict[str, np.ndarray]:
    """Return {mode: (N, classes)} in the order of the first net's classes."""
    by_mode = evaluate.read_probabilities(os.path.join(run.folder, REPORT), net.task)
    return {mode: probabilities[:, order] for mode, probabilities in by_mode.items()}
