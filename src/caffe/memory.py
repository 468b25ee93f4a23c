"""Memory that is kept: glibc gives large blocks back at once, and taking them again costs a fault a page."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_… of malloc.h


def keep_pages(limit: int = 512 << 20) -> bool:
    """Let this process keep up to `limit` bytes of freed memory for its next blocks; False without glibc.

    For programs that take and free blocks of 100 kB and more all the time: pictures, records, batches, blobs.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 1 << 30) and mallopt(_TRIM_THRESHOLD, limit))
