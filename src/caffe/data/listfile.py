"""List files of convert_imageset and ImageData: one `path label` per line, the label after the last space."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from caffe.errors import CaffeError

_LABEL = re.compile(r"[+-]?[0-9]+\Z")
_MAX_ERRORS = 20


class Entry(NamedTuple):
    """One line of a list."""

    path: str
    label: int
    line: int


def read(path: str | os.PathLike) -> list[Entry]:
    """Read a list file; raise a CaffeError that lists the first 20 invalid lines and their number.

    Paths may contain spaces and every byte that is valid in a file name. Lines may end in CR LF.
    """
    try:
        with open(path, "rb") as stream:
            lines = os.fsdecode(stream.read()).split("\n")
    except OSError as error:
        raise CaffeError(f"list file '{path}': {error.strerror}") from None
    if lines[-1] == "":
        lines.pop()
    entries, errors = [], []
    for number, line in enumerate(lines, 1):
        text = line[:-1] if line.endswith("\r") else line
        error_message = _line_error(text)
        if error_message:
            errors.append(f"{path}:{number}: {error_message}")
            continue
        name, _, label = text.rpartition(" ")
        entries.append(Entry(name, int(label), number))
    if not lines:
        errors.append(f"{path}: the list is empty; expected lines of the form `path label`")
    if errors:
        raise CaffeError(error_text(errors, "invalid line"))
    return entries


def check_root(root: str, entries: list[Entry], option: str) -> None:
    """Raise CaffeError if the paths of a list exist only with a slash after `root`, which is not added (as in Caffe).

    `option` names where the root was given.
    """
    if not root or root.endswith("/"):
        return
    first = entries[:_MAX_ERRORS]
    if any(os.path.exists(root + entry.path) for entry in first):
        return
    if any(os.path.exists(f"{root}/{entry.path}") for entry in first):
        raise CaffeError(
            f"{option} '{root}' has no slash at its end, so '{root}{first[0].path}' is read, which does not exist; "
            f"write '{root}/'"
        )


def error_text(errors: list[str], noun: str) -> str:
    """Return the number of errors and the first of them, one per line; `noun` is a singular such as "invalid line"."""
    if len(errors) == 1:
        return errors[0]
    rest = len(errors) - _MAX_ERRORS
    more = f"\n… and {rest} more" if rest > 0 else ""
    return "{} {}s\n{}{}".format(len(errors), noun, "\n".join(errors[:_MAX_ERRORS]), more)


def _line_error(text: str) -> str | None:
    path, space, label = text.rpartition(" ")
    if not text.strip():
        return "empty line; expected `path label`"
    if not space:
        return f"no space between path and label, received '{text}'"
    if not path.strip():
        return f"no path before the label, received '{text}'"
    if not label.strip():
        return "the line ends in a blank; remove it, because the label stands after the last space (as in Caffe)"
    if not _LABEL.match(label):
        return f"the label after the last space must be an integer, received '{label}'"
    if len(label) > 64 or not -(2**31) <= int(label) < 2**31:
        return f"label {label[:64]} does not fit into 32 bits"
    return "a zero byte in the path" if "\0" in path else None
