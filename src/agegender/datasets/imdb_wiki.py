"""IMDB-WIKI: read and filter the metadata, compute ages, and split by person."""

from __future__ import annotations

import csv
import datetime
import os
import re
from typing import Any, NamedTuple

import numpy as np

from agegender.datasets import matlab
from agegender.errors import AgeGenderError
from agegender.inference.labels import gender_of

FIELDS = ("dob", "photo_taken", "full_path", "gender", "face_score", "second_face_score")
MAX_AGE = 100


class Face(NamedTuple):
    """Path relative to the archive's folder, age in years, gender as the data set codes it (0 is female)."""

    path: str
    age: int
    gender: int


class Kept(NamedTuple):
    """Faces in the order of the data set, and {filter: number of rows it dropped} in the order of the filters."""

    faces: list[Face]
    dropped: dict[str, int]


def read_mat(path: str | os.PathLike, db: str | None = None) -> dict[str, np.ndarray | list]:
    """Read the metadata of wiki.mat or imdb.mat.

    Parameters
    ----------
    path : path
    db : str, optional
        Name of the struct, needed if the file has several.

    Returns
    -------
    dict
        {field: array of shape (N,)} for FIELDS, where `full_path` is a list of str.

    Raises
    ------
    AgeGenderError
        If the file or the struct is missing, malformed or incomplete.
    """
    if not os.path.isfile(path):
        raise AgeGenderError(f"{path}: no such metadata; it is part of IMDB-WIKI's {{imdb,wiki}}_crop.tar")
    variables = matlab.read(path, FIELDS)
    structs = [name for name, value in variables.items() if isinstance(value, dict)]
    name = db or (structs[0] if len(structs) == 1 else None)
    if name not in structs:
        raise AgeGenderError(
            f"{path}: expected a struct '{db or 'wiki or imdb'}', the file has {', '.join(variables) or 'nothing'}"
        )
    table = variables[name]
    missing = [field for field in FIELDS if field not in table]
    if missing:
        raise AgeGenderError(f"{path}: struct '{name}' lacks {', '.join(missing)}")
    columns = {field: np.ravel(table[field]) for field in FIELDS if field != "full_path"}
    columns["full_path"] = table["full_path"]
    sizes = {field: len(values) for field, values in columns.items()}
    if len(set(sizes.values())) != 1:
        raise AgeGenderError(f"{path}: fields differ in length: {sizes}")
    return columns  # type: ignore[return-value]


def age(taken: int, birth_number: int) -> int:
    """Age in years in the middle of the year `taken`, for a birth on MATLAB's day number `birth_number`.

    The result may be negative or unrealistic. Both arguments are converted to Python ints because photo_taken is
    unsigned, so that with NumPy 2 a year before birth would wrap around.
    """
    birth = datetime.date.fromordinal(max(int(birth_number) - 366, 1))
    years = int(taken) - birth.year
    return years if birth.month < 7 else years - 1


def keep(table: dict[str, np.ndarray | list], min_score: float = 1.0) -> Kept:
    """Keep rows with a confident, single face, an age of 0..100 and a known gender.

    These are the filters of yu4u/age-gender-estimation, in its order.

    Parameters
    ----------
    table : dict
        Result of `read_mat`.
    min_score : float
        Minimum face score.
    """
    faces, dropped = [], {"face score": 0, "second face": 0, "age": 0, "gender": 0}
    columns = (table[field] for field in FIELDS)
    for birth, taken, path, gender, score, second in zip(*columns):
        if not score >= min_score:
            dropped["face score"] += 1
        elif not np.isnan(second) and second > 0:
            dropped["second face"] += 1
        elif not 0 <= (years := age(taken, birth)) <= MAX_AGE:
            dropped["age"] += 1
        elif np.isnan(gender):
            dropped["gender"] += 1
        else:
            faces.append(Face(str(path), years, int(gender)))
    return Kept(faces, dropped)


def read_csv(path: str | os.PathLike) -> list[Face]:
    """Read the faces of yu4u's meta/wiki.csv or imdb.csv (genders,ages,img_paths), which are already filtered."""
    if not os.path.isfile(path):
        raise AgeGenderError(f"{path}: no such metadata")
    with open(path, newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        try:
            if reader.fieldnames != ["genders", "ages", "img_paths"]:
                raise ValueError(f"expected the columns genders, ages, img_paths, received {reader.fieldnames}")
            return [_checked(Face(row["img_paths"], int(row["ages"]), int(row["genders"]))) for row in reader]
        except (TypeError, ValueError, csv.Error) as error:
            raise AgeGenderError(f"{path}:{max(1, reader.line_num)}: {error}") from error


def _checked(face):
    if not (0 <= face.age <= MAX_AGE and face.gender in (0, 1) and face.path):
        raise ValueError(
            f"expected an age of 0..{MAX_AGE}, a gender of 0 or 1 and a path, "
            f"received age {face.age}, gender {face.gender}, path {face.path!r}"
        )
    return face


def statistics(faces: list[Face]) -> dict[str, Any]:
    """Count, male, female, mean age and number per decade, as in yu4u's notebook."""
    ages = np.array([face.age for face in faces])
    male = sum(gender_of("imdb-wiki", face.gender).name == "MALE" for face in faces)
    return {
        "count": len(faces),
        "male": male,
        "female": len(faces) - male,
        "mean age": float(ages.mean()),
        "decades": np.bincount(np.minimum(ages, 99) // 10, minlength=10).tolist(),
    }


def subject(face: Face) -> str:
    """Identifier of the person: IMDB's nm number, or WIKI's number before the first underscore."""
    name = os.path.basename(face.path)
    match = re.match(r"(nm\d+)_", name) or re.match(r"(\d+)_", name)
    return match.group(1) if match else name


def split_as_original(faces: list[Face], fraction: float = 0.1) -> tuple[list[Face], list[Face]]:
    """(train, validation), with the last `fraction` of the faces in validation, as Keras's validation_split in 2017."""
    cut = int(len(faces) * (1 - fraction))
    return faces[:cut], faces[cut:]


def split(faces: list[Face], fraction: float = 0.1, seed: int = 1) -> tuple[list[Face], list[Face]]:
    """(train, validation) with no person in both, and at least `fraction` of the faces in validation."""
    rng = np.random.default_rng(seed)
    groups: dict[str, list[Face]] = {}
    for face in faces:
        groups.setdefault(subject(face), []).append(face)
    subjects = sorted(groups)
    held_out, count = set(), 0
    for index in rng.permutation(len(subjects)):
        if count >= fraction * len(faces):
            break
        held_out.add(subjects[index])
        count += len(groups[subjects[index]])
    parts: tuple[list[Face], list[Face]] = ([], [])
    for face in faces:
        parts[subject(face) in held_out].append(face)
    return parts
