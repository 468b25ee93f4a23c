"""Logging in glog's format, so that existing parsers of Caffe logs work.

`I1122 06:20:12.123456  4242 solver.cpp:239] Iteration 100, loss = 1.9` on standard error. GLOG_minloglevel
(0 info, 1 warning, 2 error) sets the lowest level that is printed.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable
from typing import Any

from caffe.safe_text import printable

_LEVELS = {"I": 0, "W": 1, "E": 2}
_listeners: list[Callable[[str], Any]] = []
_before: list[Callable[[], Any]] = []


def listen(function: Callable[[str], Any]) -> Callable[[], None]:
    """Call `function(line)` for every logged line; returns a function that removes the listener."""
    _listeners.append(function)
    return lambda: _listeners.remove(function)


def before(function: Callable[[], Any]) -> Callable[[], None]:
    """Call `function()` before every printed line (to clear a progress bar); returns a function that removes it."""
    _before.append(function)
    return lambda: _before.remove(function)


def _write(level, source, text):
    silent = _LEVELS[level] < int(os.environ.get("GLOG_minloglevel", "0") or 0)  # noqa: SIM112
    if silent and not _listeners:
        return
    now = datetime.datetime.now()
    for row in printable(str(text)).split("\n"):
        line = f"{level}{now:%m%d %H:%M:%S.%f} {os.getpid():5d} {source}] {row}"
        if not silent:
            for before_print in _before:
                before_print()
            print(line, file=sys.stderr, flush=True)
        for listener in _listeners:
            listener(line)


def info(text: object, source: str = "caffe.cpp:1") -> None:
    """Log `text` as information; `source` is the file:line column that log parsers expect (solver.cpp:239 …)."""
    _write("I", source, text)


def warning(text: object, source: str = "caffe.cpp:1") -> None:
    """Log `text` as a warning."""
    _write("W", source, text)


def error(text: object, source: str = "caffe.cpp:1") -> None:
    """Log `text` as an error."""
    _write("E", source, text)
