"""Split prototxt into tokens with positions: names, numbers, strings and marks."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator

# Deliberately loose: `1.2.3` is one number token, so that the error message can show it.
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

    The kind is name, number, string (with quotes and escapes), mark, or bad (an unexpected character, or an
    unterminated string).
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
    """Return ("string", end) for the quote at `start`, or ("bad", end of the line).

    A regular expression with a repeated group would need 190 bytes of memory per character.
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
    """Converts positions in a text to lines and columns, both counted from 1."""

    def __init__(self, text: str):
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def line(self, position: int) -> int:
        """Return the line of a position."""
        return bisect.bisect_right(self._starts, position)

    def column(self, position: int) -> int:
        """Return the column of a position."""
        return position - self._starts[self.line(position) - 1] + 1


class Scanner:
    """The current token (`kind`, `word`, `at`), methods that skip tokens and values, and a list of errors."""

    max_errors = 20  # different ones
    max_positions = 300

    def __init__(self, text: str, filename: str):
        self.filename = filename
        self._errors: dict[str, list[int]] = {}  # text -> positions
        self._count = 0
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

    def expected(self, expected: str, context: str) -> None:
        """Record that the current token is not the expected one."""
        hint = "; a prototxt has no arithmetic: write the result as one number" if self.word in ("*", "/") else ""
        self.error(self.at, f"{context}: expected {expected}, received {self.received()}{hint}")

    def error(self, position: int, text: str) -> None:
        """Record an error; raise TooManyErrors at the limit of different ones."""
        self._errors.setdefault(text, []).append(position)
        self._count += 1
        if self._too_many:
            raise TooManyErrors

    @property
    def _too_many(self) -> bool:
        return len(self._errors) >= self.max_errors or self._count >= self.max_positions

    @property
    def errors(self) -> list[str]:
        """One line with file:line:column per different error, with a count if it is repeated."""
        lines, found = self._index(), []
        for text, positions in self._errors.items():
            first, last = positions[0], lines.line(positions[-1])
            again = f" ({len(positions)} times, the last in line {last})" if len(positions) > 1 else ""
            found.append(f"{self.filename}:{lines.line(first)}:{lines.column(first)}: {text}{again}")
        if self._too_many:
            found.append(f"{self.filename}: further errors are not shown")
        return found

    def advance(self) -> None:
        """Make the next token the current one."""
        self.kind, self.word, self.at = next(self._tokens, ("end", "", len(self._text)))

    def take(self, mark: str) -> bool:
        """Skip the current token if it is `mark`; return whether it was."""
        if self.word == mark and self.kind == "mark":
            self.advance()
            return True
        return False

    def received(self) -> str:
        """Describe the current token for error messages."""
        if self.kind == "end":
            return "the end of the file"
        if self.kind == "bad" and self.word[0] in "\"'":
            return "an unterminated string"
        return ascii(self.word) if self.kind == "bad" else self.word

    def rewind(self, name: str, position: int) -> None:
        """Make `name` the current token again, so that the root message reads it."""
        current = (self.kind, self.word, self.at)
        remaining = self._tokens

        def with_current():
            yield current
            yield from remaining

        self._tokens = with_current()
        self.kind, self.word, self.at = "name", name, position

    def skip_value(self) -> None:
        """Skip a value: a scalar, a list or a whole message."""
        self.take(":")
        if self.kind == "mark" and self.word in "{<[":
            self._skip_nested()
        else:
            self.skip_scalar()

    def skip_scalar(self) -> None:
        """Skip a scalar value, which may be several adjacent strings."""
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
        self.error(position, "not closed before the end of the file")


class TooManyErrors(Exception):
    """The maximum number of errors is reached; parsing stops."""
