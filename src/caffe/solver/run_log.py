"""Log file and curves of a training run, stored next to its snapshots.

`<snapshot_prefix>.log` holds Caffe's log lines, which existing parse_log scripts read; `<snapshot_prefix>_curves.png`
is plotted from it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from caffe.core import glog
from caffe.solver import prefix_lock, train_log
from caffe.utils.atomic_io import atomic_write


@contextlib.contextmanager
def kept(prefix: str, append: bool) -> Iterator[str]:
    """Write every log line to `<prefix>.log` within the context; `append` continues the file of a resumed run.

    The prefix is locked within the context; raises CaffeError if another training holds it (caffe.solver.prefix_lock).
    """
    path = prefix + ".log"
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    release = prefix_lock.hold(prefix)
    try:
        with open(path, "a" if append else "w", encoding="utf-8") as stream:

            def write(line):
                stream.write(line + "\n")
                stream.flush()

            stop = glog.listen(write)
            try:
                yield path
            finally:
                stop()
    finally:
        release()


def draw_curves(log: str, path: str) -> str | None:
    """Plot a log as PNG: losses on the left axis, all other test outputs on the right axis.

    Parameters
    ----------
    log : str
        Path of the log file.
    path : str
        Path of the PNG file.

    Returns
    -------
    str or None
        `path`, or None if the log contains no loss.
    """
    series = train_log.read(log)
    loss = sorted({iteration: value for iteration, _, value in series.losses}.items())  # a resumed run overwrites
    if not loss:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*zip(*loss), color="tab:blue", linewidth=1, label="training loss")
    axes.set(xlabel="iteration", ylabel="loss")
    right = None
    for name in series.test.columns()[3:]:
        points = sorted({row["NumIters"]: row[name] for row in series.test.rows if name in row}.items())
        if "loss" in name:
            axes.plot(*zip(*points), "o--", color="tab:orange", label="test " + name)
            continue
        right = right or axes.twinx()
        right.plot(*zip(*points), "s-", color="tab:green", label="test " + name)
        right.set(ylabel=name, ylim=(0, 1))
    axes.set_ylim(bottom=0)
    lines = [line for side in (axes, right) if side for line in side.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], loc="upper center", ncols=len(lines), framealpha=0.9)
    axes.grid(alpha=0.3)
    axes.set_title(os.path.basename(log))
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return path
