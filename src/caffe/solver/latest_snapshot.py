"""Which snapshot of a prefix is the newest: the one written last, whatever its iteration."""

from __future__ import annotations

import glob
import os
import re

_NUMBER = re.compile(r"_iter_(\d+)\.")


def snapshots(prefix, kind):
    """[(time written, iteration, path)] of `<prefix>_iter_N.<kind>` (caffemodel or solverstate, `.h5` too), in order."""
    found = []
    for ending in ("", ".h5"):
        for path in glob.glob(f"{glob.escape(prefix)}_iter_*.{kind}{ending}"):
            number = _NUMBER.search(os.path.basename(path))
            if number:
                found.append((os.stat(path).st_mtime_ns, int(number.group(1)), path))
    return sorted(found)


def newest(prefix, kind):
    """The path of the newest, or None."""
    found = snapshots(prefix, kind)
    return found[-1][2] if found else None
