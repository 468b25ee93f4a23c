"""UTKFace: what its file names say, read strictly; an irregular name is listed, never guessed."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from agegender.datasets.sample import RACES, Sample
from agegender.errors import AgeGenderError
from agegender.inference.labels import gender_of
from caffe.device.image_file import shown

NAME_RULE = "[age]_[gender 0|1]_[race 0..4]_[yyyymmddHHMMSSFFF].jpg or .jpg.chip.jpg"
OLDEST = 116  # the data set's own range is 0..116

# The stamp only tells pictures apart, so a name whose stamp is odd still says age, gender and race plainly.
_ENDING = r"(\.jpg|\.chip\.jpg|\.jpg\.chip\.jpg)"
_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>\d)_(?P<race>\d)_(?P<stamp>[^_.]+)" + _ENDING)
_STAMP = re.compile(r"\d{17}")


class Folder(NamedTuple):
    """Samples sorted by name; texts on names with an odd stamp (taken) or too few facts (not)."""

    samples: list
    odd: list
    skipped: list


def parse_name(name):
    """A Sample from a file name, whose folders are kept in `path`; AgeGenderError tells all that is wrong."""
    base = os.path.basename(name)
    match = _NAME.fullmatch(base)
    if match is None:
        raise AgeGenderError(f"{base}: not named {NAME_RULE}: {_what_is_odd(base)}")
    age, gender, race = (int(match[field]) for field in ("age", "gender", "race"))
    faults = []
    if age > OLDEST:
        faults.append("age %d is not in 0..%d" % (age, OLDEST))
    if gender > 1:
        faults.append("gender %d is neither 0 (male) nor 1 (female)" % gender)
    if race >= len(RACES):
        faults.append("race %d is not in 0..4 (%s)" % (race, ", ".join(RACES)))
    if faults:
        raise AgeGenderError("{}: not named {}: {}".format(base, NAME_RULE, "; ".join(faults)))
    return Sample(name, age, gender_of("utkface", gender), race)


def odd_stamp(name):
    """What is odd about the time stamp of a name that parse_name takes, or None; four real names have one."""
    base = os.path.basename(name)
    stamp = _NAME.fullmatch(base)["stamp"]
    if _STAMP.fullmatch(stamp):
        return None
    return f"{base}: the time stamp {stamp} is not 17 digits"


def races(text):
    """Race indices from "asian", "white,black" or "all"."""
    wanted = []
    for word in text.lower().replace(" ", "").split(","):
        if word == "all":
            return tuple(range(len(RACES)))
        if word not in RACES:
            allowed = ", ".join(RACES)
            raise AgeGenderError(f"no race '{word}'; allowed are {allowed}, all, or a list with commas")
        wanted.append(RACES.index(word))
    return tuple(sorted(set(wanted)))


def folder_name(wanted):
    """Folder for the pictures of these race indices: UTKFace_AsianOnly (the original's), UTKFace_All, ..."""
    if len(wanted) == len(RACES):
        return "UTKFace_All"
    names = "".join(RACES[race].capitalize() for race in wanted)
    return f"UTKFace_{names}Only" if len(wanted) == 1 else f"UTKFace_{names}"


def read_names(names, wanted=None):
    """The Folder of these paths; of names that parse, races outside `wanted` (indices) are left out."""
    found = Folder([], [], [])
    for name in sorted(names):
        try:
            _refuse_unprintable(name)
            sample = parse_name(name)
        except AgeGenderError as fault:
            found.skipped.append(str(fault))
            continue
        if wanted is not None and sample.race not in wanted:
            continue
        found.samples.append(sample)
        if odd_stamp(name):
            found.odd.append(odd_stamp(name))
    return found


def _refuse_unprintable(name):
    """A name that is not UTF-8, or holds control characters, can stand in no list of one path a line."""
    if not os.path.basename(name).isprintable():
        raise AgeGenderError(f"{shown(name)}: its name is not printable UTF-8: rename it")


def read_folder(folder, wanted=None):
    """The Folder of the pictures directly in `folder`; hidden files and other kinds (.txt) are ignored."""
    if not os.path.isdir(folder):
        raise AgeGenderError(f"{folder}: no such folder of pictures; ./download.sh makes it")
    return read_names([os.path.join(folder, name) for name in os.listdir(folder) if is_picture(name)], wanted)


def is_picture(name):
    """Whether a file may be a picture of the set: *.jpg or, as one real name, without extension."""
    return re.fullmatch(r"[^.].*\.jpg|\d+_[\d_]+", name) is not None


def _what_is_odd(base):
    if not base.endswith(".jpg"):
        return "no extension"
    fields = base.split(".")[0].split("_")
    if len(fields) != 4:
        return "%d fields where 4 are due" % len(fields)
    return "a field is not a number"
