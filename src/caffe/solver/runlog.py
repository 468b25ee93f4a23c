"""The run log and the curves of a training, kept beside its snapshots.

`<snapshot_prefix>.log` holds Caffe's own log lines (every old parse_log script reads it); `<snapshot_prefix>_curves.png`
is drawn from it.
"""

from __future__ import annotations

import contextlib
import os
import re

from caffe import glog
from caffe.files import whole_file

_ITERATION = re.compile(r"Iteration (\d+)")
_LOSS = re.compile(r"Iteration (\d+) \(.*loss = (\S+)")
_TEST = re.compile(r"Test net output #\d+: (\S+) = (\S+)")
_RATE = re.compile(r"Iteration (\d+), lr = (\S+)")


@contextlib.contextmanager
def kept(prefix, append):
    """Write every log line to `<prefix>.log` as it comes; `append` goes on with a resumed run's file."""
    path = prefix + ".log"
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "a" if append else "w", encoding="utf-8") as stream:

        def write(line):
            stream.write(line + "\n")
            stream.flush()

        stop = glog.listen(write)
        try:
            yield path
        finally:
            stop()


def parse(lines):
    """Return {"loss": [(iteration, value)], "lr": [...], "test": {output: [...]}}; a resumed run's repeats win."""
    loss, rate, test, now = {}, {}, {}, 0
    for line in lines:
        found = _ITERATION.search(line)
        if found:
            now = int(found.group(1))
        for pattern, series in ((_LOSS, loss), (_RATE, rate)):
            found = pattern.search(line)
            if found:
                series[int(found.group(1))] = float(found.group(2))
        found = _TEST.search(line)
        if found:
            test.setdefault(found.group(1), {})[now] = float(found.group(2))
    ordered = lambda series: sorted(series.items())  # noqa: E731
    return {
        "loss": ordered(loss),
        "lr": ordered(rate),
        "test": {name: ordered(s) for name, s in test.items()},
    }


def draw_curves(log, path):
    """Draw loss (left) and the test outputs that are no losses (right) of the run log `log` to the PNG `path`."""
    with open(log, encoding="utf-8") as stream:
        series = parse(stream)
    if not series["loss"]:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*series["loss"]), color="tab:blue", linewidth=1, label="training loss")
    axes.set(xlabel="iteration", ylabel="loss")
    axes.set_ylim(bottom=0)
    right, lines = None, axes.get_legend_handles_labels()
    for name, points in series["test"].items():
        if "loss" in name:
            axes.plot(*zip(*points), "o--", color="tab:orange", label="test " + name)
            continue
        right = right or axes.twinx()
        right.plot(*zip(*points), "s-", color="tab:green", label="test " + name)
        right.set(ylabel=name, ylim=(0, 1))
    lines = [line for side in (axes, right) if side for line in side.get_lines()]
    axes.legend(lines, [line.get_label() for line in lines], loc="center right")
    axes.grid(alpha=0.3)
    axes.set_title(os.path.basename(log))
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return path
