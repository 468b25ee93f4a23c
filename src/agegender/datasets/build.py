"""A folder of faces becomes four lists for training and testing, age and gender, and the copies they name.

Age and gender are balanced apart, each with copies of its own: the original balanced age only and used
those copies for gender too, which left gender more askew than before (5,690 to 3,901).
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

from agegender.datasets import duplicates, near_duplicates, oversample, split, utkface
from agegender.datasets.lists import MADE_BY, class_counts, list_path, write_lists
from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_TRINGN, MALE_FIRST
from caffe.utils import atomic_io, folders

AGE, GENDER = "age", "gender"
LABELS = {AGE: AGE_TRINGN, GENDER: MALE_FIRST}
CLASS_OF = {AGE: lambda sample: sample.age_class, GENDER: lambda sample: int(sample.gender)}


@dataclass(frozen=True)
class Settings:
    """What decides the outcome; stored in the manifest."""

    faces: str = os.path.join("data", "UTKFace_AsianOnly")
    races: tuple = (2,)
    train_fraction: float = 0.8
    seed: int = split.SEED
    compat: bool = False
    exclude_near_duplicates: bool = False


@dataclass
class DatasetSummary:
    """What was built.

    folder: the names read; duplicates: None with compat, which keeps them; near_twins: {path of a test picture: path of
    the training picture of the same photograph}, None with compat; strict leaves them out of the test lists;
    lists: {"age_train": [(path, class), ...], ...};
    before, after: {"age": counts a class, "gender": ...} of the training side without and with its copies.
    """

    folder: utkface.Folder
    duplicates: duplicates.Duplicates | None
    near_twins: dict | None
    lists: dict
    before: dict
    after: dict


def build(settings, data="data", jobs=None):
    """Write data/overSampling (the copies) and data/DEF (lists and manifest.json); returns the Outcome.

    Each folder appears whole or not at all and holds nothing of an older run; data/DEF comes last, so that
    its lists never name a copy which is not there yet. Equal input and settings give equal bytes.
    """
    if settings.exclude_near_duplicates and settings.compat:
        raise AgeGenderError(
            "--compat keeps even pictures that occur twice, and --exclude-near-duplicates none that are nearly alike: give one"
        )
    copies_folder = os.path.join(data, "overSampling")
    for place in (copies_folder, os.path.join(data, "DEF")):
        folders.refuse_foreign(place, MADE_BY)
    folder = utkface.read_folder(settings.faces, settings.races)
    _refuse_none(folder, settings)
    digest_of = duplicates.digests(folder.samples, jobs)
    found = None if settings.compat else duplicates.find(folder.samples, digest_of)
    train, test, copies = _plan(folder.samples if found is None else found.kept, settings)
    known = None if settings.compat else near_duplicates.near_duplicates_across(test, train, jobs)
    if settings.exclude_near_duplicates:
        test = [sample for sample in test if sample.path not in known]
    with atomic_io.atomic_folder(copies_folder, MADE_BY) as temporary:
        for where in sorted(copies):
            oversample.make(copies[where], os.path.join(temporary, where), settings.seed, jobs)
    outcome = DatasetSummary(folder, found, known, {}, {}, {})
    for task in LABELS:
        _fill(outcome, task, train, test, _copy_lines(task, copies, copies_folder), settings)
    write_lists(os.path.join(data, "DEF"), outcome, settings, digest_of, copies_folder)
    return outcome


def _refuse_none(folder, settings):
    if len(folder.samples) < 2:
        raise AgeGenderError(
            "%s: %d pictures of the wanted race, at least 2 are needed (%d names were not understood%s)"
            % (settings.faces, len(folder.samples), len(folder.skipped), _first(folder.skipped))
        )


def _first(texts):
    return ", the first: " + texts[0] if texts else ""


def _plan(samples, settings):
    """(train, test, {folder below overSampling: copies}); with compat one folder serves both tasks."""
    if settings.compat:
        train, test, rng = split.as_original(samples, settings.train_fraction, settings.seed)
        return train, test, {"": oversample.plan_as_original(train, CLASS_OF[AGE], len(AGE_TRINGN), rng)}
    train, test = split.stratified(samples, settings.train_fraction, settings.seed)
    return train, test, {task: oversample.plan(train, CLASS_OF[task], len(LABELS[task])) for task in LABELS}


def _copy_lines(task, copies, folder):
    where = task if task in copies else ""
    class_of, folder = CLASS_OF[task], os.path.join(folder, where)
    lines = [(list_path(os.path.join(folder, copy.name)), class_of(copy.source)) for copy in copies[where]]
    return sorted(lines)


def _fill(outcome, task, train, test, copy_lines, settings):
    count = len(LABELS[task])
    lines = [(list_path(sample.path), CLASS_OF[task](sample)) for sample in train]
    outcome.before[task] = class_counts(lines, count)
    lines += copy_lines
    outcome.after[task] = class_counts(lines, count)
    if not settings.compat:  # the original shuffles later, in convert_imageset
        random.Random("%d %s" % (settings.seed, task)).shuffle(lines)
    outcome.lists[task + "_train"] = lines
    outcome.lists[task + "_test"] = [(list_path(sample.path), CLASS_OF[task](sample)) for sample in test]
