"""Where in a prototxt its parts began, so that whoever finds a fault later can say file and line."""

from __future__ import annotations


class Places:
    """Where fields began: top-level fields, and submessages at any depth, by path and in order of appearance.

    A path names fields from the root, with an index where the outer one repeats: "layer", "layer[3].param".
    """

    def __init__(self, filename: str):
        self.filename = filename
        self.lines: dict[str, list[int]] = {}

    def at(self, path: str, index: int = 0) -> str:
        """Return "file:line" of occurrence `index` of `path`, or the file alone where there is none."""
        lines = self.lines.get(path, [])
        return "%s:%d" % (self.filename, lines[index]) if index < len(lines) else self.filename

    def all(self, path: str) -> list[str]:
        """Return "file:line" of every occurrence of `path`."""
        return ["%s:%d" % (self.filename, line) for line in self.lines.get(path, [])]
