"""IMDB-WIKI: its metadata read and filtered, ages computed, people kept on one side of a split."""

from __future__ import annotations

import csv
import datetime
import os
import re
from typing import NamedTuple

import numpy as np

from agegender.datasets import matlab
from agegender.errors import AgeGenderError
from agegender.inference.labels import gender_of

FIELDS = ("dob", "photo_taken", "full_path", "gender", "face_score", "second_face_score")
OLDEST = 100


class Face(NamedTuple):
    """A face kept: path below the archive's folder, age in years, gender as the set codes it (0 is female)."""

    path: str
    age: int
    gender: int


class Kept(NamedTuple):
    """Faces in the set's order, and how many rows each filter dropped, in the order of the filters."""

    faces: list
    dropped: dict


def read_mat(path, db=None):
    """{field: array, `full_path` a list} of wiki.mat or imdb.mat; `db` names the struct when there are several."""
    if not os.path.isfile(path):
        raise AgeGenderError(f"{path}: no such metadata; it comes in IMDB-WIKI's {{imdb,wiki}}_crop.tar")
    found = matlab.read(path, FIELDS)
    structs = [name for name, value in found.items() if isinstance(value, dict)]
    name = db or (structs[0] if len(structs) == 1 else None)
    if name not in structs:
        raise AgeGenderError(
            "{}: no struct '{}'; it has {}".format(path, db or "wiki or imdb", ", ".join(found) or "nothing")
        )
    table = found[name]
    missing = [field for field in FIELDS if field not in table]
    if missing:
        raise AgeGenderError("{}: struct '{}' lacks {}".format(path, name, ", ".join(missing)))
    out = {field: np.ravel(table[field]) for field in FIELDS if field != "full_path"}
    out["full_path"] = table["full_path"]
    sizes = {field: len(values) for field, values in out.items()}
    if len(set(sizes.values())) != 1:
        raise AgeGenderError(f"{path}: fields of different length: {sizes}")
    return out


def age(taken, birth_number):
    """Years at mid-year of `taken` of somebody born on MATLAB's day `birth_number`; may be negative or absurd.

    Both are made Python ints first: photo_taken is stored unsigned, and with NumPy 2 a year before birth would wrap.
    """
    birth = datetime.date.fromordinal(max(int(birth_number) - 366, 1))
    years = int(taken) - birth.year
    return years if birth.month < 7 else years - 1


def keep(table, least_score=1.0):
    """Rows whose face is sure, alone, 0..100 years old and of known gender (yu4u's filters in yu4u's order)."""
    faces, dropped = [], {"face score": 0, "second face": 0, "age": 0, "gender": 0}
    columns = (table[field] for field in FIELDS)
    for birth, taken, path, gender, score, second in zip(*columns):
        if not score >= least_score:
            dropped["face score"] += 1
        elif not np.isnan(second) and second > 0:
            dropped["second face"] += 1
        elif not 0 <= (years := age(taken, birth)) <= OLDEST:
            dropped["age"] += 1
        elif np.isnan(gender):
            dropped["gender"] += 1
        else:
            faces.append(Face(str(path), years, int(gender)))
    return Kept(faces, dropped)


def read_csv(path):
    """Faces of yu4u's meta/wiki.csv or imdb.csv (genders,ages,img_paths), which are filtered already."""
    if not os.path.isfile(path):
        raise AgeGenderError(f"{path}: no such metadata")
    with open(path, newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        try:
            if reader.fieldnames != ["genders", "ages", "img_paths"]:
                raise ValueError(f"columns {reader.fieldnames}; due are genders, ages, img_paths")
            return [_checked(Face(row["img_paths"], int(row["ages"]), int(row["genders"]))) for row in reader]
        except (TypeError, ValueError, csv.Error) as error:
            raise AgeGenderError("%s:%d: %s" % (path, max(1, reader.line_num), error)) from error


def _checked(face):
    if not (0 <= face.age <= OLDEST and face.gender in (0, 1) and face.path):
        raise ValueError(
            "age %d, gender %d, path %r; due are 0..%d, 0 or 1, a path" % (face.age, face.gender, face.path, OLDEST)
        )
    return face


def statistics(faces):
    """{count, male, female, mean age, decades}: what yu4u's notebook shows."""
    ages = np.array([face.age for face in faces])
    male = sum(gender_of("imdb-wiki", face.gender).name == "MALE" for face in faces)
    return {
        "count": len(faces),
        "male": male,
        "female": len(faces) - male,
        "mean age": float(ages.mean()),
        "decades": np.bincount(np.minimum(ages, 99) // 10, minlength=10).tolist(),
    }


def subject(face):
    """Whom a picture shows: IMDB's nm number, or WIKI's number before the first underscore."""
    name = os.path.basename(face.path)
    match = re.match(r"(nm\d+)_", name) or re.match(r"(\d+)_", name)
    return match.group(1) if match else name


def split_as_original(faces, share=0.1):
    """(train, validation): the last `share` in the set's order validates, as Keras' validation_split took it in 2017."""
    cut = int(len(faces) * (1 - share))
    return faces[:cut], faces[cut:]


def split(faces, share=0.1, seed=1):
    """(train, validation) by whole subjects, at least `share` of the faces in validation."""
    rng = np.random.default_rng(seed)
    groups = {}
    for face in faces:
        groups.setdefault(subject(face), []).append(face)
    names = sorted(groups)
    held, count = set(), 0
    for index in rng.permutation(len(names)):
        if count >= share * len(faces):
            break
        held.add(names[index])
        count += len(groups[names[index]])
    parts = ([], [])
    for face in faces:
        parts[subject(face) in held].append(face)
    return parts
