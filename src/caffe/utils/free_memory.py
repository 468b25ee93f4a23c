"""Return memory that is no longer used to the system."""

from __future__ import annotations

import ctypes
import gc


def release() -> None:
    """Collect garbage and let the C library return free pages.

    A Net's blobs and layers refer to each other, and glibc keeps what was freed below memory in use: after the training
    of a net, several hundred MB would stay with the process. Other C libraries are left alone.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # not glibc
        return
