"""Names of files, layers and labels come from strangers: as text for a terminal, a table and a graph.

It ships to the board (Python 3.7).
"""

from __future__ import annotations

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MOVES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;]*[mK])")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text):
    """`text` with every control character but tab and line feed as \\xNN: none sets a title, moves or recolours."""
    return _CONTROLS.sub(_escaped, text)


def cell(text):
    """A name as a cell of a CSV: what a spreadsheet would take for a formula gets an apostrophe in front."""
    text = printable(str(text)).replace("\n", "\\x0a")
    return "'" + text if text.startswith(_FORMULA) else text


def _escaped(match):
    return "\\x%02x" % ord(match.group())


class SafeStream:
    """A text stream for standard output or error. On a terminal our own colours and progress lines still work."""

    def __init__(self, stream):
        self._stream = stream
        self._unsafe = _MOVES if stream.isatty() else _CONTROLS

    def write(self, text):
        """Write `text`, control characters as \\xNN."""
        if self._unsafe is _CONTROLS:
            text = text.replace("\r\n", "\n")
        return self._stream.write(self._unsafe.sub(_escaped, text))

    def writelines(self, lines):
        """Write each of `lines`."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._stream, name)
