"""Locations of the fields of a prototxt, so that later checks can report file and line."""

from __future__ import annotations


class SourceLocations:
    """Lines of top-level fields, and of submessages at any depth, by path in order of appearance.

    A path consists of field names from the root, with an index for repeated parents: "layer", "layer[3].param".
    """

    def __init__(self, filename: str):
        self.filename = filename
        self.lines: dict[str, list[int]] = {}

    def at(self, path: str, index: int = 0) -> str:
        """Return "file:line" of occurrence `index` of `path`, or only the file if there is none."""
        lines = self.lines.get(path, [])
        return f"{self.filename}:{lines[index]}" if index < len(lines) else self.filename

    def all(self, path: str) -> list[str]:
        """Return "file:line" of every occurrence of `path`."""
        return [f"{self.filename}:{line}" for line in self.lines.get(path, [])]
