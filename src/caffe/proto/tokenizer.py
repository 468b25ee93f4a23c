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
      |(?P<string>["'])
      |(?P<mark>[{}<>\[\]:,;\-])
      |(?P<end>\Z)
      |(?P<bad>.))""",
    re.VERBOSE,
)
_STOPS = {quote: re.compile(rf"[\\\n{quote}]") for quote in "\"'"}


def tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield (kind, text, position) for each token, then ("end", "", position) once.

    kind: name, number, string (quotes and escapes still in it), mark, or bad (a character that
    begins nothing, or a string without its end).
    """
    at = 0
    while match := _TOKEN.match(text, at):
        kind = match.lastgroup or "end"
        start, at = match.span(kind)
        if kind == "string":
            kind, at = _string(text, start)
        yield kind, text[start:at], start
        if kind == "end":
            return


def _string(text: str, start: int) -> tuple[str, int]:
    """("string", its end) of the quote at `start`, or ("bad", the end of the line).

    A pattern with a repeated group would take 190 bytes of memory for each character.
    """
    stop, at = _STOPS[text[start]], start + 1
    while match := stop.search(text, at):
        if match.group() == "\n":
            break
        if match.group() != "\\":
            return "string", match.end()
        if text[match.end() : match.end() + 1] in ("", "\n"):
            break
        at = match.end() + 1
    end = text.find("\n", start)
    return "bad", len(text) if end < 0 else end


class Lines:
    """From positions in a text to lines and columns, both counted from 1."""

    def __init__(self, text: str):
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def line(self, position: int) -> int:
        return bisect.bisect_right(self._starts, position)

    def column(self, position: int) -> int:
        return position - self._starts[self.line(position) - 1] + 1


class Scanner:
    """The current token (`kind`, `word`, `at`), steps over tokens and whole values, and a list of faults."""

    max_faults = 20

    def __init__(self, text: str, filename: str):
        self.filename = filename
        self.faults: list[str] = []
        self._text = text
        self._tokens = tokens(text)
        self._lines: Lines | None = None
        self.advance()

    def line(self, position: int) -> int:
        """Return the line of a position, from 1."""
        return self._index().line(position)

    def _index(self) -> Lines:
        if self._lines is None:
            self._lines = Lines(self._text)
        return self._lines

    def expected(self, what: str, where: str) -> None:
        """Note that the current token is not what `where` needs."""
        self.fault(self.at, f"{where}: expected {what}, received {self.received()}")

    def fault(self, position: int, what: str) -> None:
        """Note a fault as file:line:column; raises TooManyFaults at the bound."""
        lines = self._index()
        where = (self.filename, lines.line(position), lines.column(position))
        self.faults.append("%s:%d:%d: " % where + what)
        if len(self.faults) >= self.max_faults:
            self.faults.append(f"{self.filename}: further faults are not shown")
            raise TooManyFaults

    def advance(self) -> None:
        self.kind, self.word, self.at = next(self._tokens, ("end", "", len(self._text)))

    def take(self, mark: str) -> bool:
        if self.word == mark and self.kind == "mark":
            self.advance()
            return True
        return False

    def received(self) -> str:
        if self.kind == "end":
            return "the end of the file"
        if self.kind == "bad" and self.word[0] in "\"'":
            return "a string that is not closed on its line"
        return ascii(self.word) if self.kind == "bad" else self.word

    def rewind(self, name: str, position: int) -> None:
        """Make `name` the current token again, so that the root reads it."""
        following = (self.kind, self.word, self.at)
        rest = self._tokens

        def again():
            yield following
            yield from rest

        self._tokens = again()
        self.kind, self.word, self.at = "name", name, position

    def skip_value(self) -> None:
        """Go behind a value that is not taken: a scalar, a list, or a message with all that is in it."""
        self.take(":")
        if self.kind == "mark" and self.word in "{<[":
            self._skip_nested()
        else:
            self.skip_scalar()

    def skip_scalar(self) -> None:
        if self.kind == "string":
            while self.kind == "string":
                self.advance()
            return
        self.take("-")
        if self.kind in ("name", "number", "bad"):
            self.advance()

    def _skip_nested(self) -> None:
        position, depth = self.at, 0
        while self.kind != "end":
            if self.kind == "mark":
                depth += (self.word in "{<[") - (self.word in "}>]")
            self.advance()
            if depth == 0:
                return
        self.fault(position, "this is not closed before the end of the file")


class TooManyFaults(Exception):
    """The bound on faults is reached; what was noted so far is the answer."""
