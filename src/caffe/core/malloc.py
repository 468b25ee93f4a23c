"""Tuning of the C library's allocator for training."""

from __future__ import annotations

import ctypes
import functools

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
NEVER, GIBIBYTE = -1, 1 << 30


@functools.lru_cache(maxsize=1)
def retain_freed_memory() -> bool:
    """Make malloc reuse freed blocks of up to 1 GiB; returns whether the setting took effect.

    By default glibc maps every block above 32 MiB separately and unmaps it when it is freed. A training step that
    allocates and frees its activations then spends a tenth of its time on page faults. Does nothing without glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, GIBIBYTE) and mallopt(M_TRIM_THRESHOLD, NEVER))
