"""List files of convert_imageset and ImageData: one `path label` a line, the label after the last space."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from caffe.errors import CaffeError
from caffe.utils import input_file

_LABEL = re.compile(r"[+-]?[0-9]+\Z")
_SHOWN = 20


class Entry(NamedTuple):
    """One line of a list."""

    path: str
    label: int
    line: int


def read(path: str | os.PathLike) -> list[Entry]:
    """Every line of the list `path`, or a CaffeError which names the faulty ones (20 of them, and a count).

    Paths may hold spaces and any bytes a file name may hold; a line may end in CR LF.
    """
    try:
        lines = os.fsdecode(input_file.read_bytes(path, input_file.MOST_TEXT)).split("\n")
    except CaffeError as error:
        raise CaffeError(f"list file {error}") from None
    if lines[-1] == "":
        lines.pop()
    entries, faults = [], []
    for number, line in enumerate(lines, 1):
        text = line[:-1] if line.endswith("\r") else line
        fault = _fault(text)
        if fault:
            faults.append("%s:%d: %s" % (path, number, fault))
            continue
        name, _, label = text.rpartition(" ")
        entries.append(Entry(name, int(label), number))
    if not lines:
        faults.append(f"{path}: the list is empty; a line is `path label`")
    if faults:
        raise CaffeError(fault_text(faults, "faulty line"))
    return entries


def fault_text(faults: list[str], what: str) -> str:
    """The first faults, one a line, and how many there are."""
    rest = len(faults) - _SHOWN
    if len(faults) == 1:
        return faults[0]
    more = "\n… and %d more" % rest if rest > 0 else ""
    return "%d %ss\n%s%s" % (len(faults), what, "\n".join(faults[:_SHOWN]), more)


def _fault(text: str) -> str | None:
    path, space, label = text.rpartition(" ")
    if not text.strip():
        return "empty line; a line is `path label`"
    if not space:
        return f"no space between path and label, received '{text}'"
    if not path.strip():
        return f"no path before the label, received '{text}'"
    if not _LABEL.match(label):
        return f"the label after the last space must be a whole number, received '{label}'"
    if len(label) > 64 or not -(2**31) <= int(label) < 2**31:
        return f"label {label[:64]} does not fit into 32 bits"
    return "a zero byte in the path" if "\0" in path else None
