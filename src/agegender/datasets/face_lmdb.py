"""Faces with gender and age streamed into a database of Datums with two labels."""

from __future__ import annotations

import os
from itertools import islice

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from caffe.core import malloc
from caffe.data import datum
from caffe.data.db import create_db
from caffe.data.parallel_map import cores, ordered_map
from caffe.device.image_file import ImageError, read_image
from caffe.utils.progress import Progress

_CHUNK = 8  # pictures a task


def write(faces, root, target, size=64, seed=1, workers=0):
    """Write `target`, an LMDB of uint8 BGR pictures of size x size with two labels: gender, then age.

    `faces` have `path` (below `root`), `gender` (as the net counts it) and `age`. The order is shuffled by `seed`; a few
    pictures are held at a time. A Data layer with tops data, gender and age reads it; real Caffe sees the gender. The
    database appears whole or not at all, in place of an older one. Returns the paths that could not be read, which are
    not in it.
    """
    malloc.retain_freed_memory()
    broken, number, order = [], 0, iter(np.random.default_rng(seed).permutation(len(faces)).tolist())
    chunks = iter(lambda: list(islice(order, _CHUNK)), [])
    workers = workers or cores()

    def work(chunk):
        return [_record(faces[index], root, size) for index in chunk]

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the pictures are the parallel work
    try:
        with create_db(target, "lmdb", overwrite=True) as writer, Progress("Packing", len(faces), "faces") as bar:
            for records in ordered_map(work, chunks, workers, 3 * workers):
                for path, record in records:
                    if record is None:
                        broken.append(path)
                    else:
                        writer.put(("%08d_%s" % (number, path)).encode()[:_LONGEST_KEY], record)
                    number += 1
                bar.step(len(records))
            if len(broken) == len(faces):
                raise AgeGenderError(
                    "none of %d pictures can be read under '%s', as %s" % (len(faces), root, broken[0])
                )
    finally:
        cv2.setNumThreads(threads)
    return broken


_LONGEST_KEY = 511  # bytes, LMDB's own limit; the number in front tells keys apart


def _record(face, root, size):
    """(path, Datum as bytes), None for a file that is no picture."""
    try:
        picture = read_image(os.path.join(root, face.path))
    except ImageError:
        return face.path, None
    planes = cv2.split(cv2.resize(picture, (size, size)))
    return face.path, datum.encode(np.stack(planes), face.gender, more=(face.age,))
