"""Adience: its five fold files, what their labels count as, and the lists of training, validation and test."""

from __future__ import annotations

import collections
import os
import random
from typing import NamedTuple

from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_ADIENCE, Gender

FOLDS = 5
COLUMNS = ("user_id", "original_image", "face_id", "age", "gender", "x", "y", "dx", "dy", "tilt_ang",
           "fiducial_yaw_angle", "fiducial_score")  # fmt: skip
ALIGNED, TILTED = "landmark_aligned_face", "coarse_tilt_aligned_face"  # archives aligned.tar.gz and faces.tar.gz
_EIGHT = {name: index for index, name in enumerate(AGE_ADIENCE.names)}
_PAPER = {**_EIGHT, "13": 2, "(38, 42)": 5}
_ZEALERWW = {**_EIGHT, "(38, 42)": 5, "(38, 48)": 5, "(27, 32)": 4}
_RAISES = ("(25, 23)", "(8, 23)")  # what zealerww's script cannot read is gone from its gender set too
_YEARS = (0, 4, 8, 15, 25, 38, 48, 60)  # first years of zealerww's classes for single numbers
POLICIES = {
    "published": "only the eight classes as they are written, as in the published lists",
    "meant": "published, and (25, 23) is (25, 32): what the published script meant to do",
    "paper": "13 counts as 8-13 and (38, 42) as 38-43, which gives table 1 of the paper",
    "zealerww": "neighbouring ranges and single years go to a class; (25, 23), (8, 23) and rows without gender are dropped",
    "full": "zealerww's classes and (25, 23) as (25, 32); nothing is lost of the other label",
}


class Row(NamedTuple):
    """A line of a fold file: one face. `age` and `gender` are as written; `box` is x, y, dx, dy in the photograph."""

    fold: int
    user: str
    image: str
    face: int
    age: str
    gender: str
    box: tuple
    tilt: int
    yaw: int
    score: int

    @property
    def key(self):
        """What makes a face picture one: user, face number, photograph."""
        return self.user, self.face, self.image

    def path(self, prefix=ALIGNED):
        """The picture below the archive's folder."""
        return "%s/%s.%d.%s" % (self.user, prefix, self.face, self.image)


def read_folds(folder, pattern="fold_%d_data.txt"):
    """Rows of the five files in order; every fault of a file is told at once (AgeGenderError)."""
    rows = []
    for fold in range(FOLDS):
        rows += read_fold(os.path.join(folder, pattern % fold), fold)
    return rows


def read_fold(path, fold):
    """Rows of one fold file."""
    if not os.path.isfile(path):
        raise AgeGenderError(f"{path}: no such fold file; it comes with Adience (talhassner.github.io)")
    try:
        with open(path, encoding="utf-8") as stream:
            lines = stream.read().split("\n")
    except UnicodeDecodeError as error:
        raise AgeGenderError(f"{path}: not a fold file of text: {error}") from error
    if tuple(lines[0].rstrip().split("\t")) != COLUMNS:
        raise AgeGenderError("{}:1: columns {!r}; a fold file has {}".format(path, lines[0], " ".join(COLUMNS)))
    rows, faults = [], []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = line.rstrip("\r").split("\t")
        try:
            numbers = [int(cell) for cell in cells[5:]]
            rows.append(
                Row(fold, cells[0], cells[1], int(cells[2]), cells[3], cells[4], tuple(numbers[:4]), *numbers[4:])
            )
        except (ValueError, IndexError, TypeError):
            faults.append("%s:%d: %d cells, or no whole numbers where due: %r" % (path, number, len(cells), line))
    if faults:
        raise AgeGenderError("\n".join(faults[:20]))
    return rows


def age_class(row, policy="published"):
    """Index of the row's age class under a policy (a key of POLICIES), or None."""
    if policy not in POLICIES:
        raise AgeGenderError("no label policy '{}'; there are {}".format(policy, ", ".join(POLICIES)))
    age = row.age
    if policy in ("meant", "full") and age == "(25, 23)":
        return 4
    if policy == "published" or policy == "meant":
        return _EIGHT.get(age)
    if policy == "paper":
        return _PAPER.get(age)
    if policy == "zealerww" and row.gender == "":
        return None
    if age.isdigit():
        years = int(age)
        return sum(years >= first for first in _YEARS) - 1 if years <= 100 else None
    return _ZEALERWW.get(age)


def gender_class(row, policy="published"):
    """Gender of a row (Gender, coded male first), or None."""
    if policy == "zealerww" and row.age in _RAISES:
        return None
    return {"m": Gender.MALE, "f": Gender.FEMALE}.get(row.gender)


CLASS = {"age": age_class, "gender": gender_class}


def unique(rows):
    """Rows without repetition, in order."""
    return list({row.key: row for row in reversed(rows)}.values())[::-1]


class Lists(NamedTuple):
    """[(path, class)] of one task and test fold."""

    train: list
    val: list
    test: list
    train_subset: list


def make_lists(rows, test_fold, task, policy="published", seed=230, compat=False, prefix=ALIGNED):
    """Lists of `task` (age or gender) with fold `test_fold` for testing.

    Repeated rows are taken once, and a tenth of the *users* of the other folds validates, so that no person stands on
    both sides. With `compat` as the published script: repeats stay, a tenth of the rows validates whoever they show,
    and the row after them is lost. Its shuffle was unseeded, so the lists' members are ours.
    """
    if not 0 <= test_fold < FOLDS:
        raise AgeGenderError("test fold %r; there are 0..%d" % (test_fold, FOLDS - 1))
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

    def listed(part):
        classed = ((row.path(prefix), CLASS[task](row, policy)) for row in part)
        return [(path, int(label)) for path, label in classed if label is not None]

    return Lists(listed(train), listed(val), listed(test), listed(subset))


def _by_user(pool, least, rng):
    """(val, train): whole users until at least `least` rows validate."""
    users = sorted({row.user for row in pool})
    rng.shuffle(users)
    sizes = collections.Counter(row.user for row in pool)
    chosen, count = set(), 0
    for user in users:
        if count >= least:
            break
        chosen.add(user)
        count += sizes[user]
    return [row for row in pool if row.user in chosen], [row for row in pool if row.user not in chosen]


class Report(NamedTuple):
    """What is odd about rows: repeats left over, users and faces that stand in several folds."""

    rows: int
    repeats: int
    conflicts: int
    users: int
    faces: int
    users_in_folds: list
    faces_in_folds: list


def report(rows):
    """Repeated rows, repeats whose labels differ, and people who leak between folds."""
    by_key, users, faces = collections.defaultdict(set), collections.defaultdict(set), collections.defaultdict(set)
    for row in rows:
        by_key[row.key].add((row.age, row.gender))
        users[row.user].add(row.fold)
        faces[row.face].add(row.fold)
    return Report(
        len(rows), len(rows) - len(by_key), sum(len(labels) > 1 for labels in by_key.values()), len(users), len(faces),
        sorted(user for user, folds in users.items() if len(folds) > 1),
        sorted(face for face, folds in faces.items() if len(folds) > 1),
    )  # fmt: skip


def disagreements(lines, rows, task, policy="published", prefix=ALIGNED):
    """Texts on lines (path, class) of a list that no row explains or whose class is another one."""
    known = {row.path(prefix): CLASS[task](row, policy) for row in rows}
    told = []
    for path, label in lines:
        if path not in known:
            told.append(f"{path}: in no fold file")
        elif known[path] != label:
            told.append("%s: listed as %d, by the fold files %s" % (path, label, known[path]))
    return told
