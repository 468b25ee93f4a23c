"""Keep modules of the current directory out of child processes (Python 3.11 and newer)."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

VARIABLE = "PYTHONSAFEPATH"


@contextlib.contextmanager
def safe_path() -> Iterator[None]:
    """Start child processes, such as those of multiprocessing, without the current directory on the module path."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def variables() -> dict[str, str]:
    """Return the environment variables of a child that imports from the current directory only if this process does."""
    return {} if {"", os.getcwd()}.intersection(sys.path) else {VARIABLE: "1"}
