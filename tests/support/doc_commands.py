"""The commands and code that Markdown pages show.

Commands are the lines of sh and bash blocks and, in console blocks, the lines after `$ `; the rest is output.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from support.checkout import ROOT, files

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```[ ]*$", re.M | re.S)


def pages() -> list[Path]:
    """Return every Markdown page for users."""
    return [path for path in files(".md") if _is_page(path.relative_to(ROOT))]


def _is_page(path: Path) -> bool:
    top = path.parts[0]
    return top in ("docs", "examples") or len(path.parts) == 1


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield (language, content) of the fenced blocks."""
    yield from FENCE.findall(text)


def commands(text: str) -> Iterator[list[str]]:
    """Yield the commands of a page as words; continued lines are joined and comments dropped."""
    for language, block in blocks(text):
        if language not in ("sh", "bash", "console"):
            continue
        for line in block.replace("\\\n", " ").split("\n"):
            if language == "console":
                if not line.startswith("$ "):
                    continue
                line = line[2:]
            yield from split_pipe(shlex.split(line, comments=True))


def split_pipe(words: list[str]) -> Iterator[list[str]]:
    """Yield the commands of `a | b && c`, without leading NAME=value."""
    command: list[str] = []
    for word in [*words, "|"]:
        if word in ("|", "&&", "||", ";"):
            while command and re.match(r"\w+=", command[0]):
                command.pop(0)
            if command:
                yield command
            command = []
        else:
            command.append(word)


def python_blocks(text: str) -> list[str]:
    """Return the Python code of a page."""
    return [block for language, block in blocks(text) if language == "python"]


def hidden_commands(text: str) -> list[str]:
    """Return lines that look like commands of ours in blocks where `commands` does not look."""
    ours = re.compile(r"^(?:\$ )?(?:(?:agegender|ncs|caffe) [a-z]|\./\w+\.(?:sh|py)|bench/\w)")
    found = [line for language, block in blocks(text) if language in ("", "text") for line in block.split("\n")]
    found += [line[4:] for line in FENCE.sub("", text).split("\n") if line.startswith("    ")]
    return [line for line in found if ours.match(line)]
