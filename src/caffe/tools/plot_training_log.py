"""Plot a curve of one or more training logs.

plot_training_log CHART_TYPE IMAGE.png LOG [LOG…], with Caffe's chart types: 0 test accuracy, 2 test loss, 4 train
learning rate and 6 train loss over iterations; 1, 3, 5 and 7 the same over seconds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from caffe.errors import CaffeError

if TYPE_CHECKING:
    from caffe.solver.train_log import Log

FIELDS = ("Test accuracy", "Test loss", "Train learning rate", "Train loss")
AXES = ("Iters", "Seconds")
CHARTS = tuple(f"{field}  vs. {axis}" for field in FIELDS for axis in AXES)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments."""
    parser.add_argument("chart_type", type=int, help=f"0 .. {len(CHARTS) - 1}")
    parser.add_argument("path_to_png", metavar="IMAGE", help="image to write (.png, .svg, .pdf)")
    parser.add_argument("logs", metavar="LOG", nargs="+", help="training logs")


def run(args: argparse.Namespace) -> None:
    """Read the logs and plot the chart."""
    if not 0 <= args.chart_type < len(CHARTS):
        supported = "\n".join(f"    {number}: {chart}" for number, chart in enumerate(CHARTS))
        raise CaffeError(f"{args.chart_type} is not a valid chart type. Supported chart types:\n{supported}")
    plot_chart(args.chart_type, args.path_to_png, args.logs)


def curves(log: Log, chart_type: int) -> dict[str, list[tuple[float, float]]]:
    """Return the curves {label: [(x, y), ...]} of a training log for a chart type."""
    field, axis = FIELDS[chart_type // 2], chart_type % 2
    if field == "Train loss":
        return {"": [(loss[axis], loss[2]) for loss in log.losses]}
    x = ("NumIters", "Seconds")[axis]
    if field == "Train learning rate":
        return {"": [(row[x], row["LearningRate"]) for row in (log.train.rows or log.test.rows)]}
    metric = field.split()[1]
    names = [
        name
        for name in log.test.columns()[3:]
        if metric in name.lower() or (metric == "accuracy" and "acc" in name.lower())
    ]
    return {name: [(row[x], row[name]) for row in log.test.rows if name in row] for name in names}


def plot_chart(chart_type: int, path: str, logs: Sequence[str]) -> None:
    """Plot chart `chart_type` of the log files `logs` to the image file `path`."""
    from matplotlib.figure import Figure

    from caffe.solver import train_log
    from caffe.utils.atomic_io import atomic_write

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for log in logs:
        for name, points in curves(train_log.read(log), chart_type).items():
            label = os.path.splitext(os.path.basename(log))[0] + (" " + name if name else "")
            if points:
                axes.plot(*zip(*points), marker="o", markersize=3, linewidth=0.75, label=label)
    field, axis = FIELDS[chart_type // 2], AXES[chart_type % 2]
    if not axes.lines:
        raise CaffeError("no values of '{}' in {}".format(field.lower(), ", ".join(logs)))
    axes.set(title=CHARTS[chart_type], xlabel=axis, ylabel=field)
    axes.legend(loc="lower right" if "accuracy" in field else "upper right")
    axes.grid(alpha=0.3)
    extension = os.path.splitext(path)[1][1:].lower() or "png"
    if extension not in figure.canvas.get_supported_filetypes():
        raise CaffeError(f"'{path}': the file extension must be .png, .svg or .pdf")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=extension, dpi=120)
