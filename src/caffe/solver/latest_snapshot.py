"""The newest snapshot of a prefix: the one written last, regardless of its iteration."""

from __future__ import annotations

import glob
import os
import re

_NUMBER = re.compile(r"_iter_(\d+)\.")


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
    """Return the path of the newest snapshot, or None if there is none."""
    paths = snapshots(prefix, extension)
    return paths[-1][2] if paths else None
