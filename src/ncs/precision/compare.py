"""Compares a device's output with Caffe's: mvNCCheck's metrics, limits and report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ncs.precision.fp16_emulation import Layer


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits in percent of the largest expected value; a value is wrong if it differs by more than `k` percent."""

    k: float = 5.0
    smallest: float = 2.0  # mvNCCheck calls the largest difference "Min Pixel Accuracy"
    average: float = 1.0
    wrong: float = 0.0
    l2: float = 1.0


@dataclasses.dataclass(frozen=True)
class Metrics:
    """The five metrics of mvNCCheck: four percentages and the sum of all differences; nan if a value is not finite."""

    smallest: float
    average: float
    wrong: float
    l2: float
    total: float


def compute_metrics(expected: ArrayLike, result: ArrayLike, k: float = 5.0) -> Metrics:
    """Compare two vectors with mvNCCheck's metrics.

    Parameters
    ----------
    expected, result : array_like
        Caffe's and the device's output, of the same size.
    k : float
        Difference in percent of max|expected| above which a value counts as wrong.

    Returns
    -------
    Metrics
        Largest, mean and root mean square difference in percent of max|expected|, percentage of wrong values, and the
        sum of all differences.
    """
    expected, result = (np.asarray(values, np.float64).ravel() for values in (expected, result))
    difference = np.abs(expected - result)
    reference = np.abs(expected).max(initial=0)
    if not np.isfinite(difference).all() or (reference == 0 and difference.any()):
        return Metrics(*[float("nan")] * 5)
    reference = reference or 1.0
    percent = 100.0 / reference
    wrong = 100.0 * float(np.mean(difference > k / 100 * reference)) if difference.size else 0.0
    return Metrics(
        float(difference.max(initial=0)) * percent,
        float(difference.mean()) * percent,
        wrong,
        float(np.sqrt(np.mean(difference**2))) * percent,
        float(difference.sum()),
    )


def passes(metrics: Metrics, limits: Limits) -> bool:
    """Return whether all four percentages are within their limits; nan is not."""
    return all(value <= limit for _, value, limit in _rows(metrics, limits))


def _rows(metrics, limits):
    return [
        ("Min Pixel Accuracy", metrics.smallest, limits.smallest),
        ("Average Pixel Accuracy", metrics.average, limits.average),
        ("Percentage of wrong values", metrics.wrong, limits.wrong),
        ("Pixel-wise L2 error", metrics.l2, limits.l2),
    ]


def format_metrics(metrics: Metrics, limits: Limits) -> str:
    """Format the metrics as mvNCCheck prints them."""
    line = "-" * 60
    rows = [line, " Obtained values", line]
    for name, value, limit in _rows(metrics, limits):
        rows.append(
            " Obtained {}: {}% (max allowed={:g}%), {}".format(name, value, limit, "Pass" if value <= limit else "Fail")
        )
    return "\n".join(
        [
            *rows,
            f" Obtained Global Sum Difference: {metrics.total}",
            line,
            f" (a value is wrong when it differs by more than {limits.k:g}% of the largest expected value)",
        ]
    )


def format_simulation(expected: ArrayLike, simulated: ArrayLike, emulated: ArrayLike, count: int = 5) -> str:
    """Format the largest expected values: Caffe's in float32, the simulated blob's, the FP16 emulation's."""
    columns = [np.asarray(values, np.float64).ravel() for values in (expected, simulated, emulated)]
    rows = [f"{'class':>8} {'Caffe':>12} {'simulated':>12} {'FP16 emulated':>14}"]
    for index in np.argsort(-columns[0], kind="stable")[:count]:
        rows.append("{:8d} {:12.5g} {:12.5g} {:14.5g}".format(index, *(column[index] for column in columns)))
    for name, values in (("simulated", columns[1]), ("FP16 emulated", columns[2])):
        difference = np.abs(values - columns[0])
        rows.append(f"{name}: max difference {difference.max():.3g}, mean {difference.mean():.3g}")
    rows.append(f"simulated against emulated: max difference {np.abs(columns[1] - columns[2]).max():.3g}")
    return "\n".join(rows)


def format_top(title: str, values: ArrayLike, count: int = 5) -> str:
    """Format `Result:  (1000,)` and the largest values with their indices."""
    values = np.asarray(values).ravel()
    order = np.argsort(-values, kind="stable")[:count]
    rows = [f"{title}:  ({values.size},)"]
    return "\n".join(rows + [f"{rank}) {index} {values[index]:.4g}" for rank, index in enumerate(order, 1)])


def first_divergence(layers: Sequence[Layer], limit: float = 1.0) -> Layer | None:
    """Return the first layer that overflows or whose root mean square error exceeds `limit` percent, or None."""
    for layer in layers:
        if layer.overflow or layer.weights_overflow or not layer.l2 * 100 <= limit:
            return layer
    return None


def layer_table(layers: Sequence[Layer]) -> str:
    """Format one line per layer: range in float32, values out of FP16 range, and errors."""
    rows = [
        "Layer                Type              max|x|  overflow      lost  denormal"
        "   own error       error    L2 error"
    ]
    for layer in layers:
        rows.append(
            f"{layer.name:<20} {layer.type:<14} {layer.largest:9.4g} {layer.overflow + layer.weights_overflow:9d} "
            f"{layer.lost + layer.weights_lost:9d} {layer.denormal:9d} "
            f"{layer.own * 100:10.4g}% {layer.error * 100:10.4g}% {layer.l2 * 100:10.4g}%"
            + ("" if layer.formed else "  fused with the next layer")
        )
    return "\n".join(rows)


@dataclasses.dataclass(frozen=True)
class Flip:
    """An image whose predicted class changed: key in the database, label, expected class and received class."""

    key: str
    label: int
    expected: int
    result: int


@dataclasses.dataclass(frozen=True)
class DatasetComparison:
    """Comparison on a whole database: accuracies (0 to 1), images whose class changed, largest difference.

    The accuracies are None if the database's labels are not the net's classes.
    """

    count: int
    expected_accuracy: float | None
    result_accuracy: float | None
    flips: list
    worst: float


def compare_dataset(
    keys: Sequence[str], labels: Sequence[int], expected: np.ndarray, result: np.ndarray, decoder: str = "argmax"
) -> DatasetComparison:
    """Compare outputs (N, K) image by image; `decoder` is the manifest's decoder."""
    truth, before, after = np.asarray(labels), expected.argmax(1), np.nan_to_num(result, nan=-np.inf).argmax(1)
    flips = [Flip(keys[int(i)], int(truth[i]), int(before[i]), int(after[i])) for i in np.flatnonzero(before != after)]
    worst = float(np.abs(expected - result).max(initial=0))
    if decoder != "argmax" or truth.max(initial=0) >= expected.shape[1]:
        return DatasetComparison(len(keys), None, None, flips, worst)
    return DatasetComparison(len(keys), float(np.mean(before == truth)), float(np.mean(after == truth)), flips, worst)


def format_dataset(comparison: DatasetComparison, limit: int = 20) -> str:
    """Format a DatasetComparison; lists at most `limit` images whose class changed."""
    accuracy = "the labels are not this net's classes"
    before, after, flips = comparison.expected_accuracy, comparison.result_accuracy, comparison.flips
    if before is not None and after is not None:
        accuracy = f"accuracy {before:.4f} expected, {after:.4f} received ({after - before:+.4f})"
    rows = [
        f"{comparison.count} images: {accuracy}; {len(flips)} change class; largest difference {comparison.worst:.4g}",
        *(f"  {flip.key}: label {flip.label}, {flip.expected} became {flip.result}" for flip in flips[:limit]),
    ]
    return "\n".join(rows + ([f"  ... and {len(flips) - limit} more"] if len(flips) > limit else []))
