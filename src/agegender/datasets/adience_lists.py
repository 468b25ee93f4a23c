"""Write Adience's lists under their published names, read them back, and check them against the fold files."""

from __future__ import annotations

import os
from collections.abc import Iterable

from agegender.datasets import adience
from agegender.datasets.lists import class_counts, read_list
from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_ADIENCE, MALE_FIRST
from caffe.utils import atomic_io

TASKS = {"age": AGE_ADIENCE, "gender": MALE_FIRST}
PARTS = ("test", "train", "val", "train_subset")


def folder_of(root: str, test_fold: int) -> str:
    """Folder of a fold's lists, under its published name."""
    return os.path.join(root, f"test_fold_is_{test_fold}")


def write(
    root: str,
    rows: list[adience.Row],
    policy: str,
    seed: int,
    compat: bool,
    prefix: str,
    folds: Iterable[int] = range(adience.FOLDS),
) -> dict[int, dict[str, adience.Lists]]:
    """Write the lists of every fold and return them.

    The files are {root}/test_fold_is_k/{age,gender}_{test,train,val,train_subset}.txt. The arguments are those of
    `adience.make_lists`.

    Returns
    -------
    dict
        {fold: {task: Lists}}
    """
    lists_of = {}
    for fold in folds:
        lists_of[fold] = {task: adience.make_lists(rows, fold, task, policy, seed, compat, prefix) for task in TASKS}
        with atomic_io.atomic_folder(folder_of(root, fold), "agegender adience") as temporary:
            for task, lists in lists_of[fold].items():
                for part in PARTS:
                    text = "".join(f"{path} {label}\n" for path, label in getattr(lists, part))
                    atomic_io.write_bytes(os.path.join(temporary, f"{task}_{part}.txt"), text)
    return lists_of


def sizes(lists_of: dict[int, dict[str, adience.Lists]]) -> list[str]:
    """Lines of a table: the size of each list and the accuracy of the majority class on each test list."""
    lines = ["test fold  task      test  train    val  subset  majority class"]
    for fold, tasks in lists_of.items():
        for task, lists in tasks.items():
            counts = class_counts(lists.test, len(TASKS[task]))
            majority = max(range(len(counts)), key=counts.__getitem__)
            percent = 100 * counts[majority] / max(1, sum(counts))
            test, train, val, subset = (len(getattr(lists, part)) for part in PARTS)
            lines.append(
                f"{fold:9d}  {task:<6}  {test:6d} {train:6d} {val:6d}  {subset:6d}"
                f"  {TASKS[task].names[majority]}, {percent:.1f} %"
            )
    return lines


def remarks(rows: list[adience.Row]) -> list[str]:
    """Lines of text about repeated rows, contradicting labels, and users and people in several folds."""
    report = adience.report(rows)
    lines = [
        f"{report.rows} rows, {report.repeats} of them repeat an earlier row, "
        f"{report.conflicts} faces have repeats with different labels",
        f"{report.users} Flickr users, {report.faces} people",
    ]
    for noun, names in (("users", report.users_in_folds), ("people", report.faces_in_folds)):
        lines.append(f"{noun} in more than one fold: {', '.join(map(str, names[:10])) or 'none'}")
    return lines


def read(folder: str | os.PathLike, task: str) -> adience.Lists:
    """Read the lists of a task from a folder with the published names; lists without a file are None."""
    paths = {part: os.path.join(folder, f"{task}_{part}.txt") for part in PARTS}
    lists = {part: read_list(path) if os.path.isfile(path) else None for part, path in paths.items()}
    if all(lines is None for lines in lists.values()):
        raise AgeGenderError(f"{folder}: contains none of {', '.join(map(os.path.basename, paths.values()))}")
    return adience.Lists(**lists)  # type: ignore[arg-type]


def check(
    folder: str | os.PathLike,
    rows: list[adience.Row],
    test_fold: int,
    policy: str = "published",
    prefix: str = adience.ALIGNED,
) -> tuple[list[str], int]:
    """Check the lists of a folder against the fold files.

    An error is a line that is in no fold file or has another class there, or a user in both test and training.

    Returns
    -------
    messages : list of str
        Lines of text for the user.
    errors : int
        Number of errors.
    """
    messages, errors = [], 0
    for task in TASKS:
        lists = read(folder, task)
        for part in PARTS:
            lines = getattr(lists, part)
            if lines is None:
                continue
            wrong = adience.disagreements(lines, rows, task, policy, prefix)
            verdict = f"{len(wrong)} wrong" if wrong else "all match the fold files"
            messages.append(f"{task}_{part}: {len(lines)} lines, {verdict}")
            messages += ["  " + text for text in wrong[:10]]
            errors += len(wrong)
        overlap, leaks = _check_overlap(lists, rows, test_fold, task, policy)
        messages += [f"{task}: {text}" for text in overlap]
        errors += leaks
    return messages, errors


def _check_overlap(lists, rows, test_fold, task, policy):
    """(messages about the sizes and the overlap of the lists, number of users in both test and training)."""
    labelled = [row for row in rows if adience.CLASS[task](row, policy) is not None]
    in_fold = sum(row.fold == test_fold for row in labelled)
    messages, leaks = [], 0
    if lists.test is not None:
        messages.append(f"{len(lists.test)} lines for testing, fold {test_fold} has {in_fold} labelled faces")
    if lists.train is not None and lists.val is not None:
        count = len(lists.train) + len(lists.val)
        messages.append(
            f"{count} lines for training and validation, the other folds have {len(labelled) - in_fold} labelled faces"
        )
        images = {path for path, _ in lists.train} & {path for path, _ in lists.val}
        users = _users(lists.train) & _users(lists.val)
        messages.append(f"{len(images)} images in both training and validation, {len(users)} users in both")
        if lists.test is not None:
            leaks = len(_users(lists.test) & (_users(lists.train) | _users(lists.val)))
            messages.append(f"{leaks} users in both test and training")
    return messages, leaks


def _users(lines):
    return {path.partition("/")[0] for path, _ in lines}
