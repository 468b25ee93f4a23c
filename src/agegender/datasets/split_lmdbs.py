"""The LMDBs of a run: faces split by a seed, stored at the net's size, with all of their labels in one record."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agegender.datasets import duplicates, near_duplicates, split, utkface
from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_TRINGN
from caffe.utils import atomic_io
from caffe.utils.cli.progress import Progress

if TYPE_CHECKING:
    from agegender.datasets.sample import Sample
    from agegender.inference.labels import Labels
    from caffe.device.transform import Transform

# Of a record, in this order: the Datum's label, then its float_data. `cell` numbers the combinations of group, age
# class and gender, `face` the records.
LABELS = ("age_class", "gender", "age", "cell", "face")
TRAIN, VALIDATION, TEST = "train_lmdb", "validation_lmdb", "test_lmdb"
MAX_AGE = 100
MIN_FACES = 20


def parts(
    faces: str | os.PathLike,
    races: Sequence[int],
    seed: int,
    validation: bool = False,
    leave_out: Sequence[int] = (),
) -> tuple[list[Sample], list[Sample], duplicates.Duplicates, dict[str, str]]:
    """Split the faces of a directory: four fifths for training, stratified by age class and gender.

    Duplicates are excluded, and so are test faces that have a near-duplicate in the training part.

    Parameters
    ----------
    faces : path
        Directory of faces named as UTKFace's.
    races : sequence of int
        UTKFace's group numbers.
    seed : int
    validation : bool
        Split the training part again and return its fifth instead of the test part, for choosing between recipes.
    leave_out : sequence of int
        Groups that are only in the test part, and the only ones there.

    Returns
    -------
    train, test : list of Sample
    duplicates : Duplicates
    near_duplicates : dict
        {path of an excluded test face: path of the training face}.
    """
    folder = utkface.read_folder(faces, races)
    if len(folder.samples) < MIN_FACES:
        raise AgeGenderError(
            f"{faces}: expected at least {MIN_FACES} faces of the selected race, received {len(folder.samples)}"
        )
    found = duplicates.find(folder.samples, duplicates.digests(folder.samples))
    train, test = by_race(found.kept, 0.8, seed)
    if validation:
        train, test = by_race(train, 0.8, seed)
    if leave_out:
        train = [sample for sample in train if sample.race not in leave_out]
        test = [sample for sample in test if sample.race in leave_out]
    if not train or not test:
        raise AgeGenderError(f"{faces}: expected faces of the groups that are left out, and others")
    excluded = near_duplicates.near_duplicates_across(test, train)
    return train, [sample for sample in test if sample.path not in excluded], found, excluded


def by_race(samples: Sequence[Sample], fraction: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Split each group by itself, so that its parts do not depend on which other groups there are."""
    train: list[Sample] = []
    rest: list[Sample] = []
    for race in sorted({sample.race or 0 for sample in samples}):
        parts = split.stratified([sample for sample in samples if (sample.race or 0) == race], fraction, seed)
        train, rest = train + parts[0], rest + parts[1]
    return train, rest


def hold_out(train: Sequence[Sample], fraction: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Split a validation part off the training part; its near-duplicates in the training part are left out of it."""
    if not fraction:
        return list(train), []
    rest, validation = by_race(train, 1 - fraction, seed)
    excluded = near_duplicates.near_duplicates_across(validation, rest)
    return rest, [sample for sample in validation if sample.path not in excluded]


def label_names(sample: Sample, gender_labels: Labels, face: int = 0) -> tuple[int, int, int, int, int]:
    """Return the labels of a record (see LABELS); `gender_labels` is the order of the net's genders."""
    assert sample.age is not None and sample.age_class is not None and sample.gender is not None, sample.path
    gender = gender_labels.names.index(sample.gender.name.capitalize())
    cell = ((sample.race or 0) * len(AGE_TRINGN) + sample.age_class) * 2 + gender
    return sample.age_class, gender, min(sample.age, MAX_AGE), cell, face


def write(
    folder: str,
    train: Sequence[Sample],
    test: Sequence[Sample],
    transform: Transform,
    gender_labels: Labels,
    validation: Sequence[Sample] = (),
) -> None:
    """Write train_lmdb, test_lmdb, validation_lmdb if there is any, and faces.json, which lists all file names."""
    samples_of = {TRAIN: train, TEST: test, **({VALIDATION: validation} if validation else {})}
    for name, samples in samples_of.items():
        pack(os.path.join(folder, name), samples, transform, gender_labels)
    names = {name: [os.path.basename(sample.path) for sample in samples] for name, samples in samples_of.items()}
    atomic_io.write_bytes(os.path.join(folder, "faces.json"), json.dumps(names, indent=1) + "\n")


def pack(path: str, samples: Sequence[Sample], transform: Transform, gender_labels: Labels) -> None:
    """Write an LMDB of Datums, resized by `transform` but not cropped."""
    from agegender.inference.faces import face_settings
    from agegender.inference.image_files import read_image
    from agegender.inference.predict import with_margin
    from caffe.data import datum
    from caffe.data.db import create_db

    resize = transform.replace(crop=None, mean=None)
    with (
        create_db(path, overwrite=True) as database,
        Progress("Packing " + os.path.basename(path), len(samples), "faces") as bar,
    ):
        for number, sample in enumerate(samples):
            planes = resize.resized(with_margin(read_image(sample.path), face_settings.margin(transform)))
            label, *more = label_names(sample, gender_labels, number)
            key = b"%08d_%s" % (number, os.path.basename(sample.path).encode())
            database.put(key, datum.encode(planes, label, more=more))
            bar.step()


def count(path: str) -> int:
    """Return the number of records of an LMDB."""
    from caffe.data.db import open_db

    with open_db(path) as database:
        return len(database)
