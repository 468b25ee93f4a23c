"""The newest snapshot of a prefix: the highest iteration of the last run."""

from __future__ import annotations

import glob
import os
import re

from caffe.core import glog

_NUMBER = re.compile(r"_iter_(\d+)\.")
TIME_TOLERANCE = 2_000_000_000  # nanoseconds; copies (git clone, cp) have times this close, in any order


def snapshots(prefix: str, extension: str) -> list[tuple[int, int, str]]:
    """List the snapshots `<prefix>_iter_N.<extension>` and their `.h5` variants, oldest first.

    Parameters
    ----------
    prefix : str
        The solver's snapshot_prefix.
    extension : str
        "caffemodel" or "solverstate".

    Returns
    -------
    list of (int, int, str)
        Modification time in ns, iteration and path.
    """
    results = []
    for suffix in ("", ".h5"):
        for path in glob.glob(f"{glob.escape(prefix)}_iter_*.{extension}{suffix}"):
            number = _NUMBER.search(os.path.basename(path))
            if number:
                results.append((os.stat(path).st_mtime_ns, int(number.group(1)), path))
    return sorted(results)


def newest(prefix: str, extension: str) -> str | None:
    """Return the path of the newest snapshot, or None; with several, log which one and of how many."""
    found = snapshots(prefix, extension)
    if not found:
        return None
    _, iteration, path = max(_last_run(prefix, found), key=lambda row: (row[1], row[0]))
    if len(found) > 1:
        numbers = sorted(number for _, number, _ in found)
        glog.info(
            f"{path}: iteration {iteration}, of {len(found)} snapshots from {numbers[0]} to {numbers[-1]}",
            "latest_snapshot.cpp:1",
        )
    return path


def _last_run(prefix, found):
    """Return the snapshots of the last run: those in its log, or else those with adjacent modification times."""
    iterations = _logged_iterations(prefix, found[-1][0])
    logged = [row for row in found if row[1] in iterations]
    if logged:
        return logged
    last = [found[-1]]
    for row in reversed(found[:-1]):
        if last[-1][0] - row[0] > TIME_TOLERANCE:
            break
        last.append(row)
    return last


def _logged_iterations(prefix, latest):
    """Return the iterations of the snapshots in `<prefix>.log`; empty if the log is older than `latest`."""
    path = prefix + ".log"
    try:
        if os.stat(path).st_mtime_ns + TIME_TOLERANCE < latest:
            return set()
        with open(path, encoding="utf-8", errors="replace") as stream:
            lines = [line for line in stream if "Snapshotting" in line]
    except OSError:
        return set()
    return {int(number) for line in lines for number in _NUMBER.findall(line)}
