"""Results of a five-fold cross-validation: single crop and ten crops, exact and 1-off, next to the paper's figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from agegender.evaluate import confusion, metrics
from agegender.evaluate.predictions import VIEWS, predict_batches, ten_crop_batches
from caffe.device.transform import Transform

CROPS = ("single", "oversample")
CENTRE = 4  # of the ten views
# Levi and Hassner, CVPR workshops 2015: (mean, standard deviation) in per cent, exact and 1-off
PAPER = {
    ("gender", "single"): ((85.9, 1.4), None),
    ("gender", "oversample"): ((86.8, 1.4), None),
    ("age", "single"): ((49.5, 4.4), (84.6, 1.7)),
    ("age", "oversample"): ((50.7, 5.1), (84.7, 2.2)),
}


def evaluate(
    predict: Callable[[np.ndarray], np.ndarray],
    source: str,
    transform: Transform,
    classes: int,
    batch: int = 5,
    step: Callable[[int], object] = lambda n: None,
) -> dict[str, list]:
    """Return {crops: confusion matrix as lists, rows true} of every record of an LMDB.

    Parameters
    ----------
    predict : callable
        float32 (N, C, H, W) -> (N, classes).
    source : str
        LMDB of images larger than the crop.
    transform : Transform
    classes : int
    batch : int
        Images per forward pass; each has ten views.
    step : callable
        Called with the number of images of each batch.
    """

    def model(views: np.ndarray) -> dict[str, np.ndarray]:
        rows = np.asarray(predict(views)).reshape(-1, VIEWS, classes)
        return {"single": rows[:, CENTRE], "oversample": rows.mean(1)}

    batches = ten_crop_batches(source, transform, batch)
    predictions = predict_batches(model, batches, lambda keys, *_: step(len(keys)))
    return {name: confusion.count(p.truth, p.predicted, classes).tolist() for name, p in predictions.items()}


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean of a few values and their standard deviation (population: these folds, not a sample of more)."""
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def accuracy_and_one_off(matrix: Sequence, task: str) -> tuple[float, float | None]:
    """Return (exact, 1-off) in per cent; 1-off is None for gender."""
    counts = np.asarray(matrix)
    return 100 * metrics.accuracy(counts), 100 * metrics.one_off_accuracy(counts) if task == "age" else None


def table(task: str, results: dict[int, dict]) -> list[str]:
    """Return {fold: {crops: matrix}} of one task as lines of text."""
    columns = [(crops, index) for crops in CROPS for index in ((0, 1) if task == "age" else (0,))]
    titles = "".join(f"{_title(*column):>16}" for column in columns)
    lines = [f"{task:<22} {'faces':>6} {titles} {'majority':>14}"]
    rows = []
    for fold, matrices in sorted(results.items()):
        values = {crops: accuracy_and_one_off(matrices[crops], task) for crops in CROPS}
        rows.append([values[crops][index] for crops, index in columns])
        baseline = 100 * metrics.majority_baseline(np.asarray(matrices["single"]))[1]
        cells = "".join(f"{value:16.1f}" for value in rows[-1])
        lines.append(f"{f'test fold {fold}':<22} {np.sum(matrices['single']):>6} {cells} {baseline:14.1f}")
    lines.append(_spread_line(f"mean of {len(rows)} folds", [mean_and_deviation(values) for values in zip(*rows)]))
    paper = [spread for crops, index in columns if (spread := PAPER[task, crops][index]) is not None]
    lines.append(_spread_line("Levi & Hassner 2015", paper))
    return lines


def _spread_line(title: str, values: Sequence[tuple[float, float]]) -> str:
    cells = "".join(f"{f'{mean:6.1f} +- {deviation:4.1f}':>16}" for mean, deviation in values)
    return f"{title:<22} {'':>6} {cells}"


def _title(crops: str, index: int) -> str:
    return ("1 crop " if crops == "single" else "10 crops ") + ("1-off" if index else "exact")


def summed(results: dict[int, dict], crops: str) -> np.ndarray:
    """Return the sum of the confusion matrices of all folds."""
    return np.sum([matrices[crops] for matrices in results.values()], axis=0)
