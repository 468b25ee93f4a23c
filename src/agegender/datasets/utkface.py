"""UTKFace: parse labels from file names; irregular names are reported, never guessed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agegender.datasets.sample import RACES, Sample
from agegender.errors import AgeGenderError
from agegender.inference.labels import gender_of
from caffe.utils.input_file import shown

NAME_RULE = "[age]_[gender 0|1]_[race 0..4]_[yyyymmddHHMMSSFFF].jpg or .jpg.chip.jpg"
MAX_AGE = 116  # the range documented by the data set is 0..116

# The time stamp only makes names unique, so a name with an irregular stamp still has a valid age, gender and race.
_ENDING = r"(\.jpg|\.chip\.jpg|\.jpg\.chip\.jpg)"
_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>\d)_(?P<race>\d)_(?P<stamp>[^_.]+)" + _ENDING)
_STAMP = re.compile(r"\d{17}")


class Folder(NamedTuple):
    """Samples sorted by name, and messages about irregular names that were accepted and names that were skipped."""

    samples: list[Sample]
    irregular: list[str]
    skipped: list[str]


def parse_name(name: str) -> Sample:
    """Parse a file name or path into a Sample.

    Raises
    ------
    AgeGenderError
        If the name is not of the form NAME_RULE; the message lists everything that is wrong.
    """
    base = os.path.basename(name)
    match = _NAME.fullmatch(base)
    if match is None:
        raise AgeGenderError(f"{base}: not named {NAME_RULE}: {_why_no_match(base)}")
    age, gender, race = (int(match[field]) for field in ("age", "gender", "race"))
    errors = []
    if age > MAX_AGE:
        errors.append(f"age {age} is not in 0..{MAX_AGE}")
    if gender > 1:
        errors.append(f"gender {gender} is neither 0 (male) nor 1 (female)")
    if race >= len(RACES):
        errors.append(f"race {race} is not in 0..4 ({', '.join(RACES)})")
    if errors:
        raise AgeGenderError(f"{base}: not named {NAME_RULE}: {'; '.join(errors)}")
    return Sample(name, age, gender_of("utkface", gender), race)


def irregular_stamp(name: str) -> str | None:
    """Message about the time stamp of a parseable name; None if it is regular. Four real names are irregular."""
    base = os.path.basename(name)
    match = _NAME.fullmatch(base)
    assert match is not None
    stamp = match["stamp"]
    if _STAMP.fullmatch(stamp):
        return None
    return f"{base}: the time stamp {stamp} is not 17 digits"


def parse_races(text: str) -> tuple[int, ...]:
    """Race indices from "asian", "white,black" or "all"."""
    indices = []
    for word in text.lower().replace(" ", "").split(","):
        if word == "all":
            return tuple(range(len(RACES)))
        if word not in RACES:
            raise AgeGenderError(f"unknown race '{word}'; expected {', '.join(RACES)}, all, or a comma-separated list")
        indices.append(RACES.index(word))
    return tuple(sorted(set(indices)))


def folder_name(races: tuple[int, ...]) -> str:
    """Default folder for images of these races: UTKFace_AsianOnly (the original's), UTKFace_All, ..."""
    if len(races) == len(RACES):
        return "UTKFace_All"
    names = "".join(RACES[race].capitalize() for race in races)
    return f"UTKFace_{names}Only" if len(races) == 1 else f"UTKFace_{names}"


def read_names(names: Iterable[str], races: Sequence[int] | None = None) -> Folder:
    """Parse file names into a Folder; races not in `races` (indices) are left out."""
    folder = Folder([], [], [])
    for name in sorted(names):
        try:
            _check_printable(name)
            sample = parse_name(name)
        except AgeGenderError as error:
            folder.skipped.append(str(error))
            continue
        if races is not None and sample.race not in races:
            continue
        folder.samples.append(sample)
        if message := irregular_stamp(name):
            folder.irregular.append(message)
    return folder


def _check_printable(name: str) -> None:
    """Raise AgeGenderError for a name that a list, one path per line, cannot contain."""
    if not os.path.basename(name).isprintable():
        raise AgeGenderError(f"{shown(name)}: expected a name of printable UTF-8; rename the file")


def read_folder(folder: str | os.PathLike, races: Sequence[int] | None = None) -> Folder:
    """Parse the names of the images directly in `folder`; hidden and other files (.txt) are ignored."""
    if not os.path.isdir(folder):
        raise AgeGenderError(f"{folder}: no such folder of images; ./download.sh downloads one")
    return read_names([os.path.join(folder, name) for name in os.listdir(folder) if is_image_name(name)], races)


def is_image_name(name: str) -> bool:
    """Whether a file may be an image of the data set: *.jpg, or no extension as one real name."""
    return re.fullmatch(r"[^.].*\.jpg|\d+_[\d_]+", name) is not None


def _why_no_match(base):
    if not base.endswith(".jpg"):
        return "no extension"
    fields = base.split(".")[0].split("_")
    if len(fields) != 4:
        return f"expected 4 fields, received {len(fields)}"
    return "a field is not a number"
