"""Five folds of a net: single crop and ten crops, exact and 1-off, mean and deviation, beside the paper's figures."""

from __future__ import annotations

import math

import numpy as np

from agegender.errors import AgeGenderError
from agegender.evaluate import confusion, metrics

WAYS = ("single", "oversample")
TITLES = {"single": "single crop", "oversample": "over-sample"}
# Levi and Hassner, CVPR workshops 2015: (mean, deviation) in per cent, exact and 1-off
PAPER = {
    ("gender", "single"): ((85.9, 1.4), None),
    ("gender", "oversample"): ((86.8, 1.4), None),
    ("age", "single"): ((49.5, 4.4), (84.6, 1.7)),
    ("age", "oversample"): ((50.7, 5.1), (84.7, 2.2)),
}


def evaluate(predict, source, transform, classes, batch=5, step=lambda n: None):
    """{way: confusion matrix as lists, rows true} of every record of an LMDB of pictures larger than the crop.

    `predict` takes float32 N x C x H x W and gives N x classes; over-sampling averages pycaffe's ten views (corners and
    centre, then the same mirrored), of which the fifth is the single crop.
    """
    from caffe.data import datum
    from caffe.data.db import open_db

    truth, answers = [], {way: [] for way in WAYS}
    waiting = []

    def flush():
        rows = np.asarray(predict(np.concatenate(waiting))).reshape(len(waiting), 10, classes)
        answers["single"].extend(rows[:, 4].argmax(1))
        answers["oversample"].extend(rows.mean(1).argmax(1))
        step(len(waiting))
        waiting.clear()

    with open_db(source) as database:
        for _, value in database:
            planes, label = datum.decode(value)
            if transform.crop is None or min(planes.shape[1:]) <= transform.crop:
                raise AgeGenderError(
                    "%s: pictures of %dx%d; ten crops differ only where pictures are larger than the crop (%s)"
                    % (source, *planes.shape[1:], transform.crop)
                )
            waiting.append(transform.oversample(np.ascontiguousarray(planes.transpose(1, 2, 0))))
            truth.append(label)
            if len(waiting) == batch:
                flush()
    if waiting:
        flush()
    return {way: confusion.count(truth, told, classes).tolist() for way, told in answers.items()}


def spread(values):
    """(mean, deviation) of a few shares: the deviation of the folds as they are (population), not of a sample of more."""
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def compute_metrics(matrix, task):
    """(exact, 1-off or None) in per cent."""
    matrix = np.asarray(matrix)
    return 100 * metrics.accuracy(matrix), 100 * metrics.one_off_accuracy(matrix) if task == "age" else None


def table(task, results):
    """Lines of text for {fold: {way: matrix}} of one task."""
    columns = [(way, index) for way in WAYS for index in ((0, 1) if task == "age" else (0,))]
    lines = ["%-22s %6s %s %14s" % (task, "faces", "".join("%16s" % _title(*column) for column in columns), "majority")]
    rows = []
    for fold, ways in sorted(results.items()):
        told = {way: compute_metrics(ways[way], task) for way in WAYS}
        rows.append([told[way][index] for way, index in columns])
        baseline = 100 * metrics.majority_baseline(np.asarray(ways["single"]))[1]
        cells = "".join(f"{value:16.1f}" for value in rows[-1])
        lines.append("%-22s %6d %s %14.1f" % ("test fold %d" % fold, np.sum(ways["single"]), cells, baseline))
    means = ["{:6.1f} +- {:4.1f}".format(*spread(values)) for values in zip(*rows)]
    lines.append("%-22s %6s %s" % ("mean of %d folds" % len(rows), "", "".join("%16s" % text for text in means)))
    paper = ["{:6.1f} +- {:4.1f}".format(*PAPER[task, way][index]) for way, index in columns]
    lines.append("%-22s %6s %s" % ("Levi & Hassner 2015", "", "".join("%16s" % text for text in paper)))
    return lines


def _title(way, index):
    return ("1 crop " if way == "single" else "10 crops ") + ("1-off" if index else "exact")


def summed(results, way):
    """The confusion matrices of all folds, added."""
    return sum(np.asarray(ways[way]) for ways in results.values())
