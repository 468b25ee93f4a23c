"""Cuts prototxt into tokens: names, numbers, strings and marks, each with its place."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator

# Loose on purpose: `1.2.3` is one number token, so that the message can say what was written.
_TOKEN = re.compile(
    r"""(?:[ \t\r\n\f\v]+|\#[^\n]*)*
    (?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)
      |(?P<number>\.?[0-9][\w.]*(?:(?<=[eE])[+-][\w.]*)?)
      |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      |(?P<mark>[{}<>\[\]:,;\-])
      |(?P<end>\Z)
      |(?P<bad>.))""",
    re.VERBOSE,
)


def tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield (kind, text, position) for each token, then ("end", "", position) once.

    kind: name, number, string (quotes and escapes still in it), mark, or bad (a character that begins nothing).
    """
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "end"
        yield kind, match.group(kind), match.start(kind)
        if kind == "end":
            return


class Lines:
    """From positions in a text to lines and columns, both counted from 1."""

    def __init__(self, text: str):
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def line(self, position: int) -> int:
        return bisect.bisect_right(self._starts, position)

    def column(self, position: int) -> int:
        return position - self._starts[self.line(position) - 1] + 1
