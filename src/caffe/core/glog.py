"""Log lines as glog writes them, so that log parsers of the Caffe years go on working.

`I1122 06:20:12.123456  4242 solver.cpp:239] Iteration 100, loss = 1.9` on standard error. GLOG_minloglevel
(0 info, 1 warning, 2 error) silences the lesser ones, as it did there.
"""

from __future__ import annotations

import datetime
import os
import sys

from caffe.safe_text import printable

_LEVELS = {"I": 0, "W": 1, "E": 2}
_listeners = []
_before = []


def listen(function):
    """Call `function(line)` for every line logged from now on; returns a function that stops it."""
    _listeners.append(function)
    return lambda: _listeners.remove(function)


def before(function):
    """Call `function()` before every line printed from now on (a progress bar clears itself); returns what stops it."""
    _before.append(function)
    return lambda: _before.remove(function)


def _write(level, source, text):
    silent = _LEVELS[level] < int(os.environ.get("GLOG_minloglevel", "0") or 0)  # noqa: SIM112
    if silent and not _listeners:
        return
    now = datetime.datetime.now()
    for row in printable(str(text)).split("\n"):
        line = "%s%s %5d %s] %s" % (level, now.strftime("%m%d %H:%M:%S.%f"), os.getpid(), source, row)
        if not silent:
            for function in _before:
                function()
            print(line, file=sys.stderr, flush=True)
        for function in _listeners:
            function(line)


def info(text, source="caffe.cpp:1"):
    """Log `text`; `source` is the file:line column that log parsers expect (solver.cpp:239 …)."""
    _write("I", source, text)


def warning(text, source="caffe.cpp:1"):
    """Log a warning."""
    _write("W", source, text)


def error(text, source="caffe.cpp:1"):
    """Log an error."""
    _write("E", source, text)
