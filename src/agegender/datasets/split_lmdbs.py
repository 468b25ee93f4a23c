"""The databases of a run: faces split by a seed, stored at the net's size, with all their labels in one record."""

from __future__ import annotations

import json
import os

from agegender.datasets import duplicates, near_duplicates, split, utkface
from agegender.errors import AgeGenderError
from caffe.utils import atomic_io
from caffe.utils.progress import Progress

LABELS = ("age_class", "gender", "age")  # of a record, in this order: the Datum's label, then its float_data
TRAIN, TEST = "train_lmdb", "test_lmdb"
OLDEST = 100


def parts(faces, races, seed, validation=False):
    """(train, test, Duplicates, near-twins) of the faces in a folder: four fifths to train, each class and gender shared alike.

    Pictures that occur twice are out, so none is on both sides; faces of the test side whose near-twin is learned from
    are out, too: {path: path of the twin}. With `validation` the training side is split again and its fifth takes the
    test side's place, which nobody then looks at: that is where recipes are chosen.
    """
    folder = utkface.read_folder(faces, races)
    if len(folder.samples) < 20:
        raise AgeGenderError(f"{faces}: {len(folder.samples)} faces of the wanted race; at least 20 are needed")
    found = duplicates.find(folder.samples, duplicates.digests(folder.samples))
    train, test = split.stratified(found.kept, seed=seed)
    if validation:
        train, test = split.stratified(train, seed=seed)
    known = near_duplicates.near_duplicates_across(test, train)
    return train, [sample for sample in test if sample.path not in known], found, known


def label_names(sample, gender_labels):
    """A record's labels of one Sample; `gender_labels` is the order in which the net tells genders."""
    gender = gender_labels.names.index(sample.gender.name.capitalize())
    return sample.age_class, gender, min(sample.age, OLDEST)


def write(folder, train, test, transform, gender_labels):
    """Make `folder`/train_lmdb and test_lmdb, and faces.json with the names on either side."""
    for name, samples in ((TRAIN, train), (TEST, test)):
        pack(os.path.join(folder, name), samples, transform, gender_labels)
    names = {
        name: [os.path.basename(sample.path) for sample in samples] for name, samples in ((TRAIN, train), (TEST, test))
    }
    atomic_io.write_bytes(os.path.join(folder, "faces.json"), json.dumps(names, indent=1) + "\n")


def pack(path, samples, transform, gender_labels):
    """One LMDB of Datums, resized as `transform` does, uncropped."""
    from agegender.inference.predict import read_image, with_margin
    from caffe.data import datum
    from caffe.data.db import create_db

    whole = transform.replace(crop=None, mean=None)
    with (
        create_db(path, overwrite=True) as database,
        Progress("Packing " + os.path.basename(path), len(samples), "faces") as bar,
    ):
        for number, sample in enumerate(samples):
            planes = whole.resized(with_margin(read_image(sample.path), transform.margin))
            label, *more = label_names(sample, gender_labels)
            key = b"%08d_%s" % (number, os.path.basename(sample.path).encode())
            database.put(key, datum.encode(planes, label, more=more))
            bar.step()


def count(path):
    """How many faces a database holds."""
    from caffe.data.db import open_db

    with open_db(path) as database:
        return len(database)
