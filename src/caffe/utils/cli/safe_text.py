"""Escape untrusted names of files, layers and labels for terminals, CSV tables and graphs.

Runs on the device (Python 3.7).
"""

from __future__ import annotations

import re

# Line separators, characters that reverse the order of the text, and surrogates: bytes of a name that are not UTF-8
_OTHERS = r"\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROLS = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_OTHERS}]")
_MOVES = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f{_OTHERS}]|\x1b(?!\[[0-9;]*[mK])")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # also the full-width signs


def printable(text):
    """Return `text` with control characters, except tab and line feed, as \\xNN, and so bytes that are not UTF-8."""
    return _CONTROLS.sub(_escaped, text)


def cell(text):
    """Return a name as a CSV cell; an apostrophe in front keeps spreadsheets from reading it as a formula."""
    text = printable(str(text)).replace("\n", "\\x0a")
    return "'" + text if text.startswith(_FORMULA) else text


def _escaped(match):
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # how Python represents a byte that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


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
