"""Age and gender of labelled faces as a zoo model tells them, in figures: accuracy, error in years, by decade."""

from __future__ import annotations

import dataclasses

import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import predict
from agegender.inference.labels import AGE_TRINGN, Gender, in_decades


@dataclasses.dataclass
class Metrics:
    """Of `count` faces: shares and mean error in years (None where not asked), and a row a decade.

    `class_accuracy` and `one_off` are of AgeGenderPrediction's nine classes, whatever classes the net has. A row is
    (first year, faces, mean error in years, mean of the years told, share of right genders).
    """

    count: int
    gender_accuracy: float | None
    age_error: float | None
    decades: list
    class_accuracy: float | None = None
    one_off: float | None = None


def sample_of(samples, count, seed):
    """`count` samples drawn without repetition, in the samples' order; all of them when there are fewer."""
    if count is None or count >= len(samples):
        return list(samples)
    chosen = np.random.default_rng(seed).choice(len(samples), count, replace=False)
    return [samples[i] for i in sorted(chosen)]


def measure(nets, samples, weights=None, margin=None, batch=16, step=lambda n: None):
    """Figures of zoo nets, one a task, on Samples (path, age, gender).

    `weights` is a caffemodel that all the nets share, instead of the cache's; `margin` replaces that of the nets'
    Transform: 0 takes aligned chips as they are. `step` is called with the number of faces told, once a file of weights.
    """
    from agegender.zoo import download

    if not samples:
        raise AgeGenderError("no faces to measure on")
    told, groups = {}, {}
    for net in nets:
        groups.setdefault(weights or download.weights_of(net), []).append(net)
    for path, group in groups.items():
        told.update(_answers(group, path, samples, margin, batch, step))
    return compute_metrics(nets, told, samples)


def _answers(nets, weights, samples, margin, batch, step):
    """{task: (N, classes) probabilities} of nets that share a caffemodel."""
    from agegender.zoo import assemble
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2

    tops = [net.task for net in nets]
    net = Net.from_param(assemble.answers_param(nets, tops), caffe_pb2.TEST)
    net.copy_from(weights)
    transform, told = nets[0].transform(), {top: [] for top in tops}
    margin = transform.margin if margin is None else margin
    for at in range(0, len(samples), batch):
        part = [predict.with_margin(predict.read_image(sample.path), margin) for sample in samples[at : at + batch]]
        blob = transform.batch(part)
        net.blobs["data"].reshape(*blob.shape)
        net.blobs["data"].data[...] = blob
        net.forward()
        for top in tops:
            told[top].append(np.array(net.blobs[top].data))
        step(len(part))
    return {top: np.concatenate(rows) for top, rows in told.items()}


def compute_metrics(nets, told, samples):
    """Figures from {task: (N, classes) probabilities}; classes of several years count as their middle."""
    ages = np.array([sample.age for sample in samples])
    right = years = off = None
    for net in nets:
        rows = told[net.task]
        if net.task == "gender":
            names = [Gender[name.upper()] for name in net.labels.names]
            right = np.array([names[i] for i in rows.argmax(1)]) == [sample.gender for sample in samples]
        else:
            years, classes = _years(net.labels, rows)
            off = np.abs(classes - [AGE_TRINGN.index_of_age(age) for age in ages])
    decades = []
    for first in range(0, int(ages.max()) + 1, 10):
        here = (ages >= first) & (ages < first + 10)
        if here.any():
            decades.append((
                first, int(here.sum()), None if years is None else float(np.abs(years - ages)[here].mean()),
                None if years is None else float(years[here].mean()), None if right is None else float(right[here].mean()),
            ))  # fmt: skip
    return Metrics(
        len(samples), None if right is None else float(right.mean()),
        None if years is None else float(np.abs(years - ages).mean()), decades,
        None if off is None else float((off == 0).mean()), None if off is None else float((off <= 1).mean()),
    )  # fmt: skip


def _years(kinds, rows):
    """(years told, index of the class of AGE_TRINGN told) of (N, classes) probabilities."""
    if kinds.decoder == "argmax":
        years = kinds.centres()[rows.argmax(1)]
        return years, np.array([AGE_TRINGN.index_of_age(int(year)) for year in years])
    return rows.astype(np.float64) @ np.arange(rows.shape[1]), in_decades(rows).argmax(1)


def table(found):
    """Lines of text: the whole set, then the decades."""
    lines = ["faces: %d" % found.count]
    if found.gender_accuracy is not None:
        lines.append("gender accuracy: %.1f %%" % (100 * found.gender_accuracy))
    if found.age_error is not None:
        lines.append(f"mean error in years: {found.age_error:.2f}")
        lines.append(f"nine classes (0-9 ... 80-120): {100 * found.class_accuracy:.1f} %, at most one off: {100 * found.one_off:.1f} %")  # fmt: skip
    lines.append("decade  faces  error  years told  gender right")
    for first, count, error, mean, right in found.decades:
        cells = [
            "-" if value is None else pattern % value
            for pattern, value in (("%.1f", error), ("%.1f", mean), ("%.0f %%", None if right is None else 100 * right))
        ]
        lines.append("%3d-%-3d %5d  %5s  %10s  %12s" % (first, first + 9, count, *cells))
    return lines
