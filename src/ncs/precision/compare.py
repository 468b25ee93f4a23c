"""mvNCCheck's question: does the device say what Caffe says? Its figures, its limits, its print."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is allowed, in percent of the greatest expected value; `k`: from where on a value counts as wrong."""

    k: float = 5.0
    smallest: float = 2.0  # mvNCCheck's name for the greatest difference is "Min Pixel Accuracy"
    average: float = 1.0
    wrong: float = 0.0
    l2: float = 1.0


@dataclasses.dataclass(frozen=True)
class Metrics:
    """The five figures of mvNCCheck: percentages, and the sum of all differences; nan where there is no number."""

    smallest: float
    average: float
    wrong: float
    l2: float
    total: float


def compute_metrics(expected, result, k=5.0):
    """Compare two vectors: greatest, mean and root mean square difference, the share above k %, all by max|expected|."""
    expected, result = (np.asarray(values, np.float64).ravel() for values in (expected, result))
    difference = np.abs(expected - result)
    reference = np.abs(expected).max(initial=0)
    if not np.isfinite(difference).all() or (reference == 0 and difference.any()):
        return Metrics(*[float("nan")] * 5)
    reference = reference or 1.0
    share = 100.0 / reference
    wrong = 100.0 * float(np.mean(difference > k / 100 * reference)) if difference.size else 0.0
    return Metrics(
        float(difference.max(initial=0)) * share,
        float(difference.mean()) * share,
        wrong,
        float(np.sqrt(np.mean(difference**2))) * share,
        float(difference.sum()),
    )


def passes(found, limits):
    """Whether all four figures are within their limits; what is no number is not."""
    return all(value <= limit for _, value, limit in _rows(found, limits))


def _rows(found, limits):
    return [
        ("Min Pixel Accuracy", found.smallest, limits.smallest),
        ("Average Pixel Accuracy", found.average, limits.average),
        ("Percentage of wrong values", found.wrong, limits.wrong),
        ("Pixel-wise L2 error", found.l2, limits.l2),
    ]


def block(found, limits):
    """The block of obtained values as mvNCCheck prints it."""
    line = "-" * 60
    rows = [line, " Obtained values", line]
    for name, value, limit in _rows(found, limits):
        rows.append(
            " Obtained {}: {}% (max allowed={:g}%), {}".format(name, value, limit, "Pass" if value <= limit else "Fail")
        )
    return "\n".join(
        [
            *rows,
            f" Obtained Global Sum Difference: {found.total}",
            line,
            f" (a value is wrong when it differs by more than {limits.k:g}% of the greatest expected one)",
        ]
    )


def beside(expected, simulated, emulated, count=5):
    """A table of the greatest expected values: Caffe's in float32, the simulated blob's, the FP16 emulation's."""
    columns = [np.asarray(values, np.float64).ravel() for values in (expected, simulated, emulated)]
    rows = [f"{'class':>8} {'Caffe':>12} {'simulated':>12} {'FP16 emulated':>14}"]
    for place in np.argsort(-columns[0], kind="stable")[:count]:
        rows.append("{:8d} {:12.5g} {:12.5g} {:14.5g}".format(place, *(column[place] for column in columns)))
    for name, values in (("simulated", columns[1]), ("FP16 emulated", columns[2])):
        difference = np.abs(values - columns[0])
        rows.append(f"{name}: greatest difference {difference.max():.3g}, mean {difference.mean():.3g}")
    rows.append(f"simulated from emulated: greatest difference {np.abs(columns[1] - columns[2]).max():.3g}")
    return "\n".join(rows)


def top(title, values, count=5):
    """`Result:  (1000,)` and the greatest values with their places."""
    values = np.asarray(values).ravel()
    order = np.argsort(-values, kind="stable")[:count]
    rows = ["%s:  (%d,)" % (title, values.size)]
    return "\n".join(rows + ["%d) %d %.4g" % (rank, place, values[place]) for rank, place in enumerate(order, 1)])


def divergence(layers, limit=1.0):
    """The first ncs.precision.fp16_emulation.Layer that overflows or whose root mean square error exceeds `limit` percent; or None."""
    for layer in layers:
        if layer.overflow or layer.weights_overflow or not layer.l2 * 100 <= limit:
            return layer
    return None


def layer_table(layers):
    """One line a layer: its range in float32, what half precision cannot hold, and how far off it is."""
    rows = [
        "Layer                Type              max|x|  overflow      lost  denormal   own error       error    L2 error"
    ]
    for layer in layers:
        rows.append(
            "%-20s %-14s %9.4g %9d %9d %9d %10.4g%% %10.4g%% %10.4g%%"
            % (
                layer.name,
                layer.type,
                layer.largest,
                layer.overflow + layer.weights_overflow,
                layer.lost + layer.weights_lost,
                layer.denormal,
                layer.own * 100,
                layer.error * 100,
                layer.l2 * 100,
            )
            + ("" if layer.formed else "  one with the next")
        )
    return "\n".join(rows)


@dataclasses.dataclass(frozen=True)
class Flip:
    """A picture whose class changed: its key in the database, its label, the class expected and the one found."""

    key: str
    label: int
    expected: int
    result: int


@dataclasses.dataclass(frozen=True)
class Survey:
    """A whole database both ways: accuracies (shares of 1), the pictures that flip, the worst difference.

    Accuracies are None where the database's labels are not the net's classes.
    """

    count: int
    expected_accuracy: float | None
    result_accuracy: float | None
    flips: list
    worst: float


def survey(keys, labels, expected, result, decoder="argmax"):
    """Compare answers (N, K) picture by picture; `decoder` is the manifest's word for how they are read."""
    labels, one, other = np.asarray(labels), expected.argmax(1), np.nan_to_num(result, nan=-np.inf).argmax(1)
    flips = [Flip(keys[i], int(labels[i]), int(one[i]), int(other[i])) for i in np.flatnonzero(one != other)]
    worst = float(np.abs(expected - result).max(initial=0))
    if decoder != "argmax" or labels.max(initial=0) >= expected.shape[1]:
        return Survey(len(keys), None, None, flips, worst)
    return Survey(len(keys), float(np.mean(one == labels)), float(np.mean(other == labels)), flips, worst)


def survey_text(found, most=20):
    """Some lines on a Survey; at most `most` flips are named."""
    accuracy = "the labels are not this net's classes"
    if found.expected_accuracy is not None:
        accuracy = f"accuracy {found.expected_accuracy:.4f} expected, {found.result_accuracy:.4f} found ({found.result_accuracy - found.expected_accuracy:+.4f})"
    rows = [
        "%d pictures: %s; %d flip; greatest difference %.4g" % (found.count, accuracy, len(found.flips), found.worst)
    ]
    rows += [
        "  %s: label %d, %d became %d" % (flip.key, flip.label, flip.expected, flip.result)
        for flip in found.flips[:most]
    ]
    return "\n".join(rows + (["  ... and %d more" % (len(found.flips) - most)] if len(found.flips) > most else []))
