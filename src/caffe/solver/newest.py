"""Which snapshot of a prefix is the newest."""

from __future__ import annotations

import glob
import os
import re

_NUMBER = re.compile(r"_iter_(\d+)\.")


def snapshots(prefix, kind):
    """[(iteration, path)] of `<prefix>_iter_N.<kind>` (caffemodel or solverstate; `.h5` behind it counts), in order."""
    found = []
    for ending in ("", ".h5"):
        for path in glob.glob("%s_iter_*.%s%s" % (glob.escape(prefix), kind, ending)):
            number = _NUMBER.search(os.path.basename(path))
            if number:
                found.append((int(number.group(1)), path))
    return sorted(found)


def newest(prefix, kind):
    """The path with the highest iteration, or None."""
    found = snapshots(prefix, kind)
    return found[-1][1] if found else None
