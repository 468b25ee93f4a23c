"""Build the training and test lists of age and gender from a folder of faces, and the copies that balance them.

Age and gender are balanced separately, each with its own copies. The original script balanced age only and used
the same copies for gender, which made gender less balanced than before (5,690 to 3,901).
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
    """Everything that determines the result; stored in the manifest."""

    faces: str = os.path.join("data", "UTKFace_AsianOnly")
    races: tuple[int, ...] = (2,)
    train_fraction: float = 0.8
    seed: int = split.SEED
    compat: bool = False
    exclude_near_duplicates: bool = False
    near_duplicates: bool = True  # look for them: the time grows with the square of the number of images


@dataclass
class DatasetSummary:
    """The result of `build`.

    Attributes
    ----------
    folder : utkface.Folder
        The file names that were parsed.
    duplicates : Duplicates or None
        None with `compat`, which keeps duplicates.
    near_duplicates : dict or None
        {path of a test image: path of its near-duplicate in training}; None if they were not looked for, as with
        `compat`. The test lists contain them unless `exclude_near_duplicates` is set.
    lists : dict
        {"age_train": [(path, class), ...], "age_test": ..., "gender_train": ..., "gender_test": ...}
    before, after : dict
        {"age": images per class, "gender": ...} of the training lists without and with copies.
    """

    folder: utkface.Folder
    duplicates: duplicates.Duplicates | None
    near_duplicates: dict[str, str] | None
    lists: dict[str, list]
    before: dict[str, list]
    after: dict[str, list]


def build(settings: Settings, data: str = "data", jobs: int | None = None) -> DatasetSummary:
    """Write the copies to data/overSampling, and the lists and manifest.json to data/DEF.

    Each folder appears atomically and contains nothing from an earlier run. data/DEF is written last, so its lists
    never name a copy that does not exist yet. The same input and settings produce the same bytes.

    Parameters
    ----------
    settings : Settings
    data : str
        Folder for overSampling and DEF.
    jobs : int, optional
        Number of threads; all cores by default.

    Raises
    ------
    AgeGenderError
        If the settings contradict each other or the folder has fewer than two usable images.
    CaffeError
        If overSampling or DEF contains files that an earlier build did not write.
    """
    if settings.exclude_near_duplicates and settings.compat:
        raise AgeGenderError(
            "--compat keeps exact duplicates and --exclude-near-duplicates drops near-duplicates: use one of them"
        )
    if settings.exclude_near_duplicates and not settings.near_duplicates:
        raise AgeGenderError("--exclude-near-duplicates needs the search that --no-near-duplicates leaves out")
    copies_folder = os.path.join(data, "overSampling")
    for path in (copies_folder, os.path.join(data, "DEF")):
        folders.refuse_foreign(path, MADE_BY)
    folder = utkface.read_folder(settings.faces, settings.races)
    _check_not_empty(folder, settings)
    digest_of = duplicates.digests(folder.samples, jobs)
    dups = None if settings.compat else duplicates.find(folder.samples, digest_of)
    train, test, copies = _plan(folder.samples if dups is None else dups.kept, settings)
    search = settings.near_duplicates and not settings.compat
    near = near_duplicates.near_duplicates_across(test, train, jobs) if search else None
    if settings.exclude_near_duplicates and near is not None:
        test = [sample for sample in test if sample.path not in near]
    with atomic_io.atomic_folder(copies_folder, MADE_BY) as temporary:
        for subfolder in sorted(copies):
            oversample.make(copies[subfolder], os.path.join(temporary, subfolder), settings.seed, jobs)
    summary = DatasetSummary(folder, dups, near, {}, {}, {})
    listed_train, listed_test = ([(list_path(sample.path), sample) for sample in part] for part in (train, test))
    for task in LABELS:
        _add_lists(summary, task, listed_train, listed_test, _copy_lines(task, copies, copies_folder), settings)
    write_lists(os.path.join(data, "DEF"), summary, settings, digest_of, copies_folder)
    return summary


def _check_not_empty(folder, settings):
    if len(folder.samples) < 2:
        first = f", the first: {folder.skipped[0]}" if folder.skipped else ""
        raise AgeGenderError(
            f"{settings.faces}: expected at least 2 images of the selected races, received {len(folder.samples)} "
            f"({len(folder.skipped)} names could not be parsed{first})"
        )


def _plan(samples, settings):
    """(train, test, {subfolder of overSampling: copies}); with compat both tasks share the folder itself."""
    if settings.compat:
        train, test, rng = split.as_original(samples, settings.train_fraction, settings.seed)
        return train, test, {"": oversample.plan_as_original(train, CLASS_OF[AGE], len(AGE_TRINGN), rng)}
    train, test = split.stratified(samples, settings.train_fraction, settings.seed)
    return train, test, {task: oversample.plan(train, CLASS_OF[task], len(LABELS[task])) for task in LABELS}


def _copy_lines(task, copies, folder):
    subfolder = task if task in copies else ""
    class_of, folder = CLASS_OF[task], os.path.join(folder, subfolder)
    return sorted((list_path(os.path.join(folder, copy.name)), class_of(copy.source)) for copy in copies[subfolder])


def _add_lists(summary, task, train, test, copy_lines, settings):
    count = len(LABELS[task])
    lines = [(path, CLASS_OF[task](sample)) for path, sample in train]
    summary.before[task] = class_counts(lines, count)
    lines += copy_lines
    summary.after[task] = class_counts(lines, count)
    if not settings.compat:  # the original shuffles later, in convert_imageset
        random.Random(f"{settings.seed} {task}").shuffle(lines)
    summary.lists[task + "_train"] = lines
    summary.lists[task + "_test"] = [(path, CLASS_OF[task](sample)) for path, sample in test]
