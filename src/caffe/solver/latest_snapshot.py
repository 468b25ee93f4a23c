"""Which snapshot of a prefix is the newest: the highest iteration of the last run."""

from __future__ import annotations

import glob
import os
import re

from caffe.core import glog

_NUMBER = re.compile(r"_iter_(\d+)\.")
TOGETHER = 2_000_000_000  # nanoseconds: files written at most so far apart may have lost their order (git clone, cp)


def snapshots(prefix, kind):
    """[(time written, iteration, path)] of `<prefix>_iter_N.<kind>` (caffemodel or solverstate, `.h5` too), by time."""
    found = []
    for ending in ("", ".h5"):
        for path in glob.glob(f"{glob.escape(prefix)}_iter_*.{kind}{ending}"):
            number = _NUMBER.search(os.path.basename(path))
            if number:
                found.append((os.stat(path).st_mtime_ns, int(number.group(1)), path))
    return sorted(found)


def newest(prefix, kind):
    """The path of the newest, or None. Says in the log which it is, of how many."""
    found = snapshots(prefix, kind)
    if not found:
        return None
    _, iteration, path = max(_last_run(prefix, found), key=lambda row: (row[1], row[0]))
    if len(found) > 1:
        numbers = sorted(number for _, number, _ in found)
        glog.info(
            "%s: iteration %d, of %d snapshots from %d to %d" % (path, iteration, len(found), numbers[0], numbers[-1]),
            "newest.cpp:1",
        )
    return path


def _last_run(prefix, found):
    """The snapshots of the last run: those that its log names, else those written one soon after the other."""
    named = _in_log(prefix, found[-1][0])
    logged = [row for row in found if row[1] in named]
    if logged:
        return logged
    last = [found[-1]]
    for row in reversed(found[:-1]):
        if last[-1][0] - row[0] > TOGETHER:
            break
        last.append(row)
    return last


def _in_log(prefix, latest):
    """Iterations of the snapshots that `<prefix>.log` names; none where a later run has not written to it."""
    path = prefix + ".log"
    try:
        if os.stat(path).st_mtime_ns + TOGETHER < latest:
            return set()
        with open(path, encoding="utf-8", errors="replace") as stream:
            lines = [line for line in stream if "Snapshotting" in line]
    except OSError:
        return set()
    return {int(number) for line in lines for number in _NUMBER.findall(line)}
