"""Read the labels of any folder of faces: from UTKFace's names, a pattern of names, a table, or folders per class."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agegender.datasets import utkface
from agegender.datasets.sample import RACES, Sample
from agegender.errors import AgeGenderError
from agegender.inference.labels import Gender
from caffe.utils.input_file import read_text

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
FIELDS = {"age": r"\d{1,3}", "gender": r"[A-Za-z]+|\d", "group": r"[A-Za-z]+|\d", "*": r".*?"}
GENDERS = {"m": 0, "male": 0, "man": 0, "men": 0, "f": 1, "w": 1, "female": 1, "woman": 1, "women": 1, "0": 0, "1": 1}
# Columns of a table by the names that they may have.
COLUMNS = {
    "file": ("file", "image", "path", "filename", "file_name", "name"),
    "age": ("age", "real_age", "apparent_age"),
    "gender": ("gender", "sex"),
    "group": ("group", "race", "ethnicity"),
}


class Collection(NamedTuple):
    """Faces with labels.

    Attributes
    ----------
    samples : list of Sample
        `age` or `gender` is None where unknown. The age of a class of several years is the year in its middle.
    skipped : list of str
        One message per file without a readable label.
    years : bool
        Whether all ages are years, not classes.
    """

    samples: list[Sample]
    skipped: list[str]
    years: bool = True


def read(folder: str, pattern: str = "", table: str = "") -> Collection:
    """Read the labels of a folder of face images, including its subfolders.

    Parameters
    ----------
    folder : str
    pattern : str
        Names of the files, such as `{age}_{gender}_{*}.jpg`: {age} in years, {gender} as m, male, f, female, 0 (male)
        or 1 (female), {group} as one of UTKFace's, {*} anything.
    table : str
        A CSV file with a header and the columns file, age and gender; the files are relative to `folder`.
        Without pattern and table: folders named by class (`male`, `20-29`, `25`, `20-29/female`), else UTKFace's names.

    Raises
    ------
    AgeGenderError
        If there is no labelled face; the message says what was expected.
    """
    if not os.path.isdir(folder):
        raise AgeGenderError(f"{folder}: no such directory; expected a directory of face images")
    if table:
        found = _from_table(folder, table)
    elif pattern:
        found = _from_pattern(folder, pattern)
    elif _has_class_folders(folder):
        found = _from_folders(folder)
    else:
        found = _from_utkface_names(folder)
    if not found.samples:
        reasons = "".join("\n  " + reason for reason in found.skipped[:3])
        raise AgeGenderError(f"{folder}: expected labelled faces, received none of {len(found.skipped)} files{reasons}")
    return found


def _images(folder: str) -> Iterator[str]:
    """Yield the paths of the images below `folder`, relative to it, sorted."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                yield os.path.relpath(os.path.join(parent, name), folder)


def _from_utkface_names(folder: str) -> Collection:
    named = utkface.read_names(os.path.join(folder, path) for path in _images(folder))
    return Collection(named.samples, named.skipped)


def _from_pattern(folder: str, pattern: str) -> Collection:
    expression = _expression(pattern)
    samples: list[Sample] = []
    skipped: list[str] = []
    for path in _images(folder):
        whole = path if "/" in pattern else os.path.basename(path)
        match = expression.fullmatch(whole.replace(os.sep, "/"))
        if match is None:
            skipped.append(f"{path}: not named {pattern}")
            continue
        _append(samples, skipped, folder, path, match.groupdict())
    return Collection(samples, skipped)


def _expression(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern of names."""
    parts = re.split(r"\{([^{}]*)\}", pattern)
    names = parts[1::2]
    unknown = [name for name in names if name not in FIELDS]
    repeated = [name for name in names if name != "*" and names.count(name) > 1]
    if unknown or repeated or not {"age", "gender"} & set(names):
        expected = "{age} or {gender} once each, {group} and {*}"
        raise AgeGenderError(f"pattern '{pattern}': expected {expected}, received {{{'}, {'.join(names)}}}")
    text = re.escape(parts[0])
    for name, rest in zip(names, parts[2::2]):
        field = FIELDS[name] if name == "*" else f"(?P<{name}>{FIELDS[name]})"
        text += field + re.escape(rest)
    return re.compile(text)


def _append(samples: list[Sample], skipped: list[str], folder: str, path: str, fields: dict) -> None:
    """Append a Sample, or a message about the fields that cannot be read."""
    try:
        age, gender, group = (fields.get(name) for name in ("age", "gender", "group"))
        sample = Sample(os.path.join(folder, path), _age(age), _gender(gender), _group(group))
    except AgeGenderError as error:
        skipped.append(f"{path}: {error}")
        return
    if sample.age is None and sample.gender is None:
        skipped.append(f"{path}: no age and no gender")
        return
    samples.append(sample)


def _age(text: str | None) -> int | None:
    if not text:
        return None
    try:
        years = float(text)
    except ValueError:
        years = -1.0
    if not 0 <= years <= utkface.MAX_AGE:
        raise AgeGenderError(f"expected an age from 0 to {utkface.MAX_AGE}, received '{text}'")
    return int(years)


def _gender(text: str | None) -> Gender | None:
    if not text:
        return None
    if text.lower() not in GENDERS:
        raise AgeGenderError(f"expected a gender (m, male, 0, f, female, 1), received '{text}'")
    return Gender(GENDERS[text.lower()])


def _group(text: str | None) -> int | None:
    if not text:
        return None
    if text.isdigit():
        return int(text) if int(text) < len(RACES) else None
    return RACES.index(text.lower()) if text.lower() in RACES else None


def _from_table(folder: str, table: str) -> Collection:
    text = read_text(table)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = [name.strip().lower() for name in next(rows, [])]
    columns = {field: _column(header, names) for field, names in COLUMNS.items()}
    if columns["file"] is None or columns["age"] is columns["gender"] is None:
        raise AgeGenderError(
            f"{table}:1: expected a header with the columns file and age or gender, received {', '.join(header)}"
        )
    samples: list[Sample] = []
    skipped: list[str] = []
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        fields = {name: row[at].strip() for name, at in columns.items() if at is not None and at < len(row)}
        path = fields.pop("file", "")
        if not os.path.isfile(os.path.join(folder, path)) or not path:
            skipped.append(f"{table}:{number}: no such file '{path}' in {folder}")
            continue
        _append(samples, skipped, folder, path, fields)
    return Collection(samples, skipped)


def _column(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _class_of(name: str) -> dict[str, object]:
    """Return the labels that a folder's name stands for: {"gender": …}, {"age": …, "years": bool}, or {}."""
    if name.lower() in GENDERS and not name.isdigit():
        return {"gender": name}
    numbers = re.fullmatch(r"\(?(\d{1,3})(?:\s*[-_,]\s*(\d{1,3}))?\)?\+?", name)
    if numbers is None:
        return {}
    low = int(numbers[1])
    high = int(numbers[2]) if numbers[2] else low
    if high < low or high > 120:
        return {}
    return {"age": str(min((low + high) // 2, utkface.MAX_AGE)), "years": low == high and not name.endswith("+")}


def _has_class_folders(folder: str) -> bool:
    return any(_class_of(entry.name) for entry in os.scandir(folder) if entry.is_dir())


def _from_folders(folder: str) -> Collection:
    samples: list[Sample] = []
    skipped: list[str] = []
    years = True
    for path in _images(folder):
        fields: dict[str, object] = {}
        for part in os.path.dirname(path).split(os.sep):
            fields.update(_class_of(part))
        before = len(samples)
        _append(samples, skipped, folder, path, fields)
        if len(samples) > before and "age" in fields:
            years &= bool(fields["years"])
    return Collection(samples, skipped, years)


def unlabelled(folder: str) -> list[Sample]:
    """Return all images below a folder, without labels."""
    if not os.path.isdir(folder):
        raise AgeGenderError(f"{folder}: no such directory; expected a directory of images")
    return [Sample(os.path.join(folder, path)) for path in _images(folder)]
