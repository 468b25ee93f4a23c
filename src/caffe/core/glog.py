"""Logging in glog's format, so that existing parsers of Caffe logs work.

`I1122 06:20:12.123456  4242 solver.cpp:239] Iteration 100, loss = 1.9` on standard error, as Caffe's programs do.
glog's environment variables have their effect (the flags of the same names set them): GLOG_minloglevel (0 info, 1
warning, 2 error) is the lowest level that is logged, GLOG_log_dir a folder for log files, GLOG_logtostderr turns the
files off; GLOG_alsologtostderr=0 leaves standard error to the levels from GLOG_stderrthreshold on; GLOG_log_prefix=0
prints the text alone; GLOG_colorlogtostderr colours warnings and errors on a terminal.
"""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable
from typing import Any

from caffe.core.glog_files import LogFiles
from caffe.utils.cli.safe_text import printable

_LEVELS = {"I": 0, "W": 1, "E": 2}
_COLOURS = {1: 3, 2: 1}  # yellow, red
_BOOLEANS = {"t": 1, "true": 1, "y": 1, "yes": 1, "f": 0, "false": 0, "n": 0, "no": 0}
_open_files: list[LogFiles] = []
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


def setting(name: str, default: int) -> int:
    """Return glog's setting `name` from the environment; a boolean is 0 or 1, an unreadable value the default."""
    text = os.environ.get("GLOG_" + name, "").strip().lower()
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    try:
        return int(text)
    except ValueError:
        return default


def _write(level, source, text):
    severity = _LEVELS[level]
    silent = severity < setting("minloglevel", 0)
    if silent and not _listeners:
        return
    now = datetime.datetime.now()
    for row in printable(str(text)).split("\n"):
        line = f"{level}{now:%m%d %H:%M:%S.%f} {os.getpid():5d} {source}] {row}"
        if not silent:
            _print(severity, line if setting("log_prefix", 1) else row)
        for listener in _listeners:
            listener(line)


def _print(severity, line):
    to_stderr = setting("logtostderr", 0)
    if to_stderr or setting("alsologtostderr", 1) or severity >= setting("stderrthreshold", 2):
        for before_print in _before:
            before_print()
        print(_coloured(severity, line), file=sys.stderr, flush=True)
    folder = os.environ.get("GLOG_log_dir", "")  # noqa: SIM112  glog's own spelling
    if folder and not to_stderr:
        _files(folder).write(severity, line)


def _coloured(severity, line):
    if severity and setting("colorlogtostderr", 0) and sys.stderr.isatty():
        return f"\033[0;3{_COLOURS[severity]}m{line}\033[m"
    return line


def _files(folder):
    if not _open_files or _open_files[0].folder != folder:
        for files in _open_files:
            files.close()
        _open_files[:] = [LogFiles(folder)]
    return _open_files[0]


def info(text: object, source: str = "caffe.cpp:1") -> None:
    """Log `text` as information; `source` is the file:line column that log parsers expect (solver.cpp:239 …)."""
    _write("I", source, text)


def warning(text: object, source: str = "caffe.cpp:1") -> None:
    """Log `text` as a warning."""
    _write("W", source, text)


def error(text: object, source: str = "caffe.cpp:1") -> None:
    """Log `text` as an error."""
    _write("E", source, text)
