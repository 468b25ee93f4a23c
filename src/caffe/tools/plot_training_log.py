"""Draw a curve of one or more training logs into a picture.

plot_training_log CHART_TYPE PICTURE.png LOG [LOG…], with Caffe's chart types: 0 test accuracy, 2 test loss, 4
train learning rate, 6 train loss against iterations; 1, 3, 5, 7 against seconds
"""

from __future__ import annotations

import os

from caffe.errors import CaffeError

FIELDS = ("Test accuracy", "Test loss", "Train learning rate", "Train loss")
AXES = ("Iters", "Seconds")
CHARTS = tuple(f"{field}  vs. {axis}" for field in FIELDS for axis in AXES)


def add_arguments(parser):
    """Caffe's arguments."""
    parser.add_argument("chart_type", type=int, help="0 .. %d" % (len(CHARTS) - 1))
    parser.add_argument("path_to_png", metavar="PICTURE", help="picture to write (.png, .svg, .pdf)")
    parser.add_argument("logs", metavar="LOG", nargs="+", help="logs of trainings")


def run(args):
    """Read the logs, draw the chart."""
    if not 0 <= args.chart_type < len(CHARTS):
        listed = "\n".join("    %d: %s" % item for item in enumerate(CHARTS))
        raise CaffeError("%d is not a valid chart type. Supported chart types:\n%s" % (args.chart_type, listed))
    plot_chart(args.chart_type, args.path_to_png, args.logs)


def curves(log, chart_type):
    """{label: [(x, y), ...]} of a trainlog.Log for a chart type."""
    field, axis = FIELDS[chart_type // 2], chart_type % 2
    if field == "Train loss":
        return {"": [(loss[axis], loss[2]) for loss in log.losses]}
    x = ("NumIters", "Seconds")[axis]
    if field == "Train learning rate":
        return {"": [(row[x], row["LearningRate"]) for row in (log.train.rows or log.test.rows)]}
    word = field.split()[1]
    names = [
        name
        for name in log.test.columns()[3:]
        if word in name.lower() or (word == "accuracy" and "acc" in name.lower())
    ]
    return {name: [(row[x], row[name]) for row in log.test.rows if name in row] for name in names}


def plot_chart(chart_type, path, logs):
    """Draw chart `chart_type` of the log files `logs` into the picture `path`."""
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
    ending = os.path.splitext(path)[1][1:].lower() or "png"
    if ending not in figure.canvas.get_supported_filetypes():
        raise CaffeError(f"'{path}': a picture ends in .png, .svg or .pdf")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format=ending, dpi=120)
