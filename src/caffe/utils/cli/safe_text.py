"""Escape untrusted names of files, layers and labels for terminals, CSV tables and graphs.

Runs on the device (Python 3.7).
"""

from __future__ import annotations

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MOVES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;]*[mK])")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text):
    """Return `text` with control characters, except tab and line feed, as \\xNN."""
    return _CONTROLS.sub(_escaped, text)


def cell(text):
    """Return a name as a CSV cell; an apostrophe in front keeps spreadsheets from reading it as a formula."""
    text = printable(str(text)).replace("\n", "\\x0a")
    return "'" + text if text.startswith(_FORMULA) else text


def _escaped(match):
    return f"\\x{ord(match.group()):02x}"


class SafeStream:
    """Escape control characters for standard output or error; colours and progress lines still work on a terminal."""

    def __init__(self, stream):
        self._stream = stream
        self._unsafe = _MOVES if stream.isatty() else _CONTROLS

    def write(self, text):
        """Write `text` with control characters as \\xNN."""
        if self._unsafe is _CONTROLS:
            text = text.replace("\r\n", "\n")
        return self._stream.write(self._unsafe.sub(_escaped, text))

    def writelines(self, lines):
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._stream, name)
