"""The run log and the curves of a training, kept beside its snapshots.

`<snapshot_prefix>.log` holds Caffe's own log lines (every old parse_log script reads it); `<snapshot_prefix>_curves.png`
is drawn from it.
"""

from __future__ import annotations

import contextlib
import os

from caffe.core import glog
from caffe.errors import CaffeError
from caffe.solver import train_log
from caffe.utils.atomic_io import atomic_write

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextlib.contextmanager
def kept(prefix, append):
    """Write every log line to `<prefix>.log` as it comes; `append` goes on with a resumed run's file.

    The log is locked meanwhile: of two trainings with one prefix each would overwrite the other's snapshots, so the
    second is refused with a CaffeError.
    """
    path = prefix + ".log"
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "a", encoding="utf-8") as stream:
        _lock(stream, prefix)
        if not append:
            stream.truncate(0)

        def write(line):
            stream.write(line + "\n")
            stream.flush()

        stop = glog.listen(write)
        try:
            yield path
        finally:
            stop()


def _lock(stream, prefix):
    if fcntl is None:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CaffeError(
            f"another training writes the snapshots of '{prefix}' ({stream.name} is locked): wait for it to end, or give "
            "this solver a snapshot_prefix of its own"
        ) from None
    except OSError:
        pass  # a file system without locks


def draw_curves(log, path):
    """Draw loss (left) and the test outputs that are no losses (right) of the run log `log` to the PNG `path`."""
    series = train_log.read(log)
    loss = sorted({iteration: value for iteration, _, value in series.losses}.items())  # a resumed run's repeats win
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
    axes.legend(lines, [line.get_label() for line in lines], loc="upper center", ncols=len(lines), framealpha=0.9)
    axes.grid(alpha=0.3)
    axes.set_title(os.path.basename(log))
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return path
