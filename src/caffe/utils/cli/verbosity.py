"""How much the programs print: `-q` prints results and errors only, `-v` adds the traceback to errors."""

from __future__ import annotations

import argparse
import os

QUIET, NORMAL, VERBOSE = -1, 0, 1
_level = NORMAL
FLAGS = (
    (("-q", "--quiet"), QUIET, "print results and errors only: no progress, no log"),
    (("-v", "--verbose"), VERBOSE, "print the traceback of errors"),
)


def level() -> int:
    """Return QUIET, NORMAL or VERBOSE."""
    return _level


def set_level(value: int) -> None:
    """Set the level of this process; QUIET also hides glog's information and warnings."""
    global _level
    _level = value
    if value == QUIET:
        os.environ.setdefault("GLOG_minloglevel", "2")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add -q and -v to a parser, except those option strings that the command has itself."""
    for names, value, text in FLAGS:
        free = [name for name in names if name not in parser._option_string_actions]
        if free:
            parser.add_argument(*free, dest="verbosity", action="store_const", const=value, default=NORMAL, help=text)
