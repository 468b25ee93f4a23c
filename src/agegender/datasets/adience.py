"""Adience: parse the five fold files, map their labels to classes, and make training, validation and test lists."""

from __future__ import annotations

import collections
import os
import random
from typing import NamedTuple

from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_ADIENCE, Gender

FOLDS = 5
COLUMNS = (
    *("user_id", "original_image", "face_id", "age", "gender", "x", "y", "dx", "dy"),
    *("tilt_ang", "fiducial_yaw_angle", "fiducial_score"),
)
ALIGNED, TILTED = "landmark_aligned_face", "coarse_tilt_aligned_face"  # in aligned.tar.gz and faces.tar.gz
_PUBLISHED = {name: index for index, name in enumerate(AGE_ADIENCE.names)}
_PAPER = {**_PUBLISHED, "13": 2, "(38, 42)": 5}
_ZEALERWW = {**_PUBLISHED, "(38, 42)": 5, "(38, 48)": 5, "(27, 32)": 4}
_ZEALERWW_UNPARSED = ("(25, 23)", "(8, 23)")  # zealerww's script drops these rows from its gender set too
_ZEALERWW_MIN_AGES = (0, 4, 8, 15, 25, 38, 48, 60)  # lower bounds of its classes, for ages given as one number
POLICIES = {
    "published": "only the eight classes exactly as written, as in the published lists",
    "meant": "published, plus (25, 23) as (25, 32), which the published script intended",
    "paper": "13 counts as 8-13 and (38, 42) as 38-43, which reproduces table 1 of the paper",
    "zealerww": "similar ranges and single years map to a class; (25, 23), (8, 23) and rows without gender are dropped",
    "full": "zealerww's classes, plus (25, 23) as (25, 32); no row is dropped because of its other label",
}


class Row(NamedTuple):
    """One face, a line of a fold file.

    `age` and `gender` are spelled as in the file; `box` is (x, y, dx, dy) in pixels of the photograph.
    """

    fold: int
    user: str
    image: str
    face: int
    age: str
    gender: str
    box: tuple[int, ...]
    tilt: int
    yaw: int
    score: int

    @property
    def key(self) -> tuple[str, int, str]:
        """User, face number and photograph, which identify a face image."""
        return self.user, self.face, self.image

    def path(self, prefix: str = ALIGNED) -> str:
        """Path of the face image, relative to the folder of the unpacked archive."""
        return f"{self.user}/{prefix}.{self.face}.{self.image}"


def read_folds(folder: str | os.PathLike, pattern: str = "fold_%d_data.txt") -> list[Row]:
    """Read the rows of the five fold files, in order.

    Parameters
    ----------
    folder : path
        Folder of the fold files.
    pattern : str
        File name with one %d for the fold.

    Raises
    ------
    AgeGenderError
        If a file is missing or malformed; the message lists the faulty lines (at most 20).
    """
    rows = []
    for fold in range(FOLDS):
        rows += read_fold(os.path.join(folder, pattern % fold), fold)
    return rows


def read_fold(path: str | os.PathLike, fold: int) -> list[Row]:
    """Read the rows of one fold file."""
    if not os.path.isfile(path):
        raise AgeGenderError(f"{path}: no such fold file; it is part of Adience (talhassner.github.io)")
    try:
        with open(path, encoding="utf-8") as stream:
            lines = stream.read().split("\n")
    except UnicodeDecodeError as error:
        raise AgeGenderError(f"{path}: not a fold file, expected UTF-8 text: {error}") from error
    if tuple(lines[0].rstrip().split("\t")) != COLUMNS:
        raise AgeGenderError(f"{path}:1: expected the columns {' '.join(COLUMNS)}, received {lines[0]!r}")
    rows, errors = [], []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = line.rstrip("\r").split("\t")
        try:
            user, image, face, age, gender, *rest = cells
            x, y, dx, dy, *angles_and_score = map(int, rest)
            rows.append(Row(fold, user, image, int(face), age, gender, (x, y, dx, dy), *angles_and_score))
        except (ValueError, TypeError):
            errors.append(
                f"{path}:{number}: expected {len(COLUMNS)} cells with integers in the columns of numbers, "
                f"received {len(cells)} cells: {line!r}"
            )
    if errors:
        raise AgeGenderError("\n".join(errors[:20]))
    return rows


def age_class(row: Row, policy: str = "published") -> int | None:
    """Index of the row's age class under a policy (a key of POLICIES); None if it has none."""
    if policy not in POLICIES:
        raise AgeGenderError(f"unknown label policy '{policy}'; expected one of {', '.join(POLICIES)}")
    age = row.age
    if policy in ("meant", "full") and age == "(25, 23)":
        return 4
    if policy in ("published", "meant"):
        return _PUBLISHED.get(age)
    if policy == "paper":
        return _PAPER.get(age)
    if policy == "zealerww" and row.gender == "":
        return None
    if age.isdigit():
        years = int(age)
        return sum(years >= low for low in _ZEALERWW_MIN_AGES) - 1 if years <= 100 else None
    return _ZEALERWW.get(age)


def gender_class(row: Row, policy: str = "published") -> Gender | None:
    """Gender of a row under a policy; None if it has none."""
    if policy == "zealerww" and row.age in _ZEALERWW_UNPARSED:
        return None
    return {"m": Gender.MALE, "f": Gender.FEMALE}.get(row.gender)


CLASS = {"age": age_class, "gender": gender_class}


def unique(rows: list[Row]) -> list[Row]:
    """Rows without repetition, in order."""
    return list({row.key: row for row in reversed(rows)}.values())[::-1]


class Lists(NamedTuple):
    """The lists of one task and test fold, each [(path, class), ...]."""

    train: list
    val: list
    test: list
    train_subset: list


def make_lists(
    rows: list[Row],
    test_fold: int,
    task: str,
    policy: str = "published",
    seed: int = 230,
    compat: bool = False,
    prefix: str = ALIGNED,
) -> Lists:
    """Make the lists of one task with one fold held out for testing.

    By default repeated rows count once and whole users go to validation until it has a tenth of the other folds' rows,
    so no user is in both training and validation. `compat` follows the published script: repeats stay, a tenth of the
    rows validates regardless of the user, and the row after them is lost. That script's shuffle was unseeded, so the
    members of the published lists cannot be reproduced, only their sizes and labels.

    Parameters
    ----------
    rows : list of Row
        All rows of the five folds.
    test_fold : int
        0 to 4.
    task : {"age", "gender"}
    policy : str
        A key of POLICIES.
    seed : int
        Seed of the shuffles.
    compat : bool
        Follow the published script.
    prefix : {ALIGNED, TILTED}
        Archive whose file names are listed.
    """
    if not 0 <= test_fold < FOLDS:
        raise AgeGenderError(f"invalid test fold {test_fold!r}; expected 0..{FOLDS - 1}")
    rng = random.Random(seed)
    rows = rows if compat else unique(rows)
    test = [row for row in rows if row.fold == test_fold]
    pool = [row for row in rows if row.fold != test_fold]
    rng.shuffle(test)
    rng.shuffle(pool)
    tenth = len(pool) // 10
    if compat:
        val, train = pool[:tenth], pool[tenth + 1 :]
        subset = pool[tenth + 1 : 2 * tenth]
    else:
        val, train = _by_user(pool, tenth, rng)
        subset = train[:tenth]

    def to_lines(part):
        labelled = ((row.path(prefix), CLASS[task](row, policy)) for row in part)
        return [(path, int(label)) for path, label in labelled if label is not None]

    return Lists(to_lines(train), to_lines(val), to_lines(test), to_lines(subset))


def _by_user(pool, min_count, rng):
    """(val, train), where val holds all rows of randomly chosen users, at least `min_count` rows."""
    users = sorted({row.user for row in pool})
    rng.shuffle(users)
    sizes = collections.Counter(row.user for row in pool)
    chosen, count = set(), 0
    for user in users:
        if count >= min_count:
            break
        chosen.add(user)
        count += sizes[user]
    return [row for row in pool if row.user in chosen], [row for row in pool if row.user not in chosen]


class Report(NamedTuple):
    """Counts of rows, repeats, contradicting repeats, users and people; users and people in more than one fold."""

    rows: int
    repeats: int
    conflicts: int
    users: int
    faces: int
    users_in_folds: list
    faces_in_folds: list


def report(rows: list[Row]) -> Report:
    """Count repeated rows and repeats with different labels, and find users and people in more than one fold."""
    by_key, users, faces = collections.defaultdict(set), collections.defaultdict(set), collections.defaultdict(set)
    for row in rows:
        by_key[row.key].add((row.age, row.gender))
        users[row.user].add(row.fold)
        faces[row.face].add(row.fold)
    return Report(
        rows=len(rows),
        repeats=len(rows) - len(by_key),
        conflicts=sum(len(labels) > 1 for labels in by_key.values()),
        users=len(users),
        faces=len(faces),
        users_in_folds=sorted(user for user, folds in users.items() if len(folds) > 1),
        faces_in_folds=sorted(face for face, folds in faces.items() if len(folds) > 1),
    )


def disagreements(
    lines: list[tuple[str, int]], rows: list[Row], task: str, policy: str = "published", prefix: str = ALIGNED
) -> list[str]:
    """One message for each line (path, class) that is in no fold file or has another class there."""
    expected = {row.path(prefix): CLASS[task](row, policy) for row in rows}
    messages = []
    for path, label in lines:
        if path not in expected:
            messages.append(f"{path}: in no fold file")
        elif expected[path] != label:
            messages.append(f"{path}: expected class {expected[path]} by the fold files, received {label}")
    return messages
