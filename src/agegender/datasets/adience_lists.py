"""Adience's lists as files: written fold by fold under their published names, read back, and held against the fold files."""

from __future__ import annotations

import collections
import os

from agegender.datasets import adience
from agegender.datasets.lists import class_counts, read_list
from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_ADIENCE, MALE_FIRST
from caffe.utils import atomic_io

TASKS = {"age": AGE_ADIENCE, "gender": MALE_FIRST}
PARTS = ("test", "train", "val", "train_subset")


def folder_of(root, test_fold):
    """The published name of a fold's folder of lists."""
    return os.path.join(root, "test_fold_is_%d" % test_fold)


def write(root, rows, policy, seed, compat, prefix, folds=range(adience.FOLDS)):
    """Write {root}/test_fold_is_k/{age,gender}_{test,train,val,train_subset}.txt; returns {fold: {task: Lists}}."""
    made = {}
    for fold in folds:
        made[fold] = {task: adience.make_lists(rows, fold, task, policy, seed, compat, prefix) for task in TASKS}
        with atomic_io.atomic_folder(folder_of(root, fold), "agegender adience") as temporary:
            for task, lists in made[fold].items():
                for part in PARTS:
                    text = "".join("%s %d\n" % line for line in getattr(lists, part))
                    atomic_io.write_bytes(os.path.join(temporary, f"{task}_{part}.txt"), text)
    return made


def sizes(made):
    """Lines of text: how many faces each list has, and what always answering the commonest class of a test list gives."""
    lines = ["test fold  task      test  train    val  subset  majority class"]
    for fold, tasks in made.items():
        for task, lists in tasks.items():
            counts = class_counts(lists.test, len(TASKS[task]))
            most = max(range(len(counts)), key=counts.__getitem__)
            share = 100 * counts[most] / max(1, sum(counts))
            lines.append("%9d  %-6s  %6d %6d %6d  %6d  %s, %.1f %%" % (
                fold, task, *(len(getattr(lists, part)) for part in PARTS), TASKS[task].names[most], share))  # fmt: skip
    return lines


def remarks(rows):
    """Lines of text on repeated rows, contradicting labels and people in several folds."""
    told = adience.report(rows)
    lines = [
        "%d rows, %d of them repeats of a row before, %d faces of which the repeats contradict each other"
        % (told.rows, told.repeats, told.conflicts),
        "%d Flickr users, %d people" % (told.users, told.faces),
    ]
    for what, leaking in (("users", told.users_in_folds), ("people", told.faces_in_folds)):
        lines.append("{} who stand in several folds: {}".format(what, ", ".join(map(str, leaking[:10])) or "none"))
    return lines


def read(folder, task):
    """Lists of a folder with the published names; parts that are not there are None."""
    paths = {part: os.path.join(folder, f"{task}_{part}.txt") for part in PARTS}
    found = {part: read_list(path) if os.path.isfile(path) else None for part, path in paths.items()}
    if all(lines is None for lines in found.values()):
        raise AgeGenderError("{}: none of {} is there".format(folder, ", ".join(map(os.path.basename, paths.values()))))
    return adience.Lists(**found)


def check(folder, rows, test_fold, policy="published", prefix=adience.ALIGNED):
    """(lines of text, count of faults) on the lists of a folder, held against the fold files.

    A fault is a line that no row explains or whose class is another, or a person both in test and in training.
    """
    told, faults = [], 0
    for task in TASKS:
        lists = read(folder, task)
        for part in PARTS:
            lines = getattr(lists, part)
            if lines is None:
                continue
            wrong = adience.disagreements(lines, rows, task, policy, prefix)
            told.append("%s_%s: %d lines, %s" % (
                task, part, len(lines), "all as the fold files have it" if not wrong else "%d wrong" % len(wrong)))  # fmt: skip
            told += ["  " + text for text in wrong[:10]]
            faults += len(wrong)
        about, leaks = _between(lists, rows, test_fold, task, policy)
        told += [f"{task}: {text}" for text in about]
        faults += leaks
    return told, faults


def _between(lists, rows, test_fold, task, policy):
    """(texts on what the parts share and leave out, number of people in both test and training)."""
    label = adience.CLASS[task]
    due = {side: [row for row in rows if (row.fold == test_fold) == side and label(row, policy) is not None]
           for side in (True, False)}  # fmt: skip
    told, leaks = [], 0
    if lists.test is not None:
        told.append("%d lines for testing, fold %d has %d such faces" % (len(lists.test), test_fold, len(due[True])))
    if lists.train is not None and lists.val is not None:
        lines = len(lists.train) + len(lists.val)
        both = {path for path, _ in lists.train} & {path for path, _ in lists.val}
        told.append(
            "%d lines for training and validation, the other folds have %d such faces" % (lines, len(due[False]))
        )
        told.append("%d pictures both in training and in validation, %d users in both" % (
            len(both), len(_users(lists.train) & _users(lists.val))))  # fmt: skip
        if lists.test is not None:
            leaks = len(_users(lists.test) & (_users(lists.train) | _users(lists.val)))
            told.append("%d users both in test and in training" % leaks)
    return told, leaks


def _users(lines):
    return set(collections.Counter(path.partition("/")[0] for path, _ in lines))
