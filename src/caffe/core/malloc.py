"""The C library's allocator, told to keep what a training step will want again."""

from __future__ import annotations

import ctypes
import functools

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
NEVER, GIBIBYTE = -1, 1 << 30


@functools.lru_cache(maxsize=1)
def retain_freed_memory():
    """Have malloc serve blocks up to 1 GiB from memory it keeps, from now on; returns whether it will.

    By default glibc maps every block above 32 MiB anew and gives it back when freed: a training step that
    makes and frees its activations then spends a tenth of its time on page faults. Where there is no glibc,
    nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, GIBIBYTE) and mallopt(M_TRIM_THRESHOLD, NEVER))
