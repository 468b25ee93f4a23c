"""Write faces into an LMDB of Datums with two labels, gender and age."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from caffe.core import malloc
from caffe.data import datum
from caffe.data.db import create_db
from caffe.data.parallel_map import cores, ordered_map
from caffe.device.image_file import ImageError, read_image
from caffe.utils.cli.progress import Progress

_CHUNK = 8  # images per task
_MAX_KEY_BYTES = 511  # LMDB's limit; the number at the start keeps truncated keys unique


def write(faces: Sequence, root: str, target: str, size: int = 64, seed: int = 1, workers: int = 0) -> list[str]:
    """Write an LMDB of uint8 BGR images of shape (3, size, size) with the labels gender and age.

    A Data layer with the tops data, gender and age reads it; real Caffe reads the gender only. The database appears
    atomically and replaces an existing one. Memory use does not depend on the number of faces.

    Parameters
    ----------
    faces : sequence
        Objects with `path` (relative to `root`), `gender` (the net's class index) and `age` (years).
    root : str
        Folder of the images.
    target : str
        Path of the LMDB.
    size : int
        Width and height in pixels.
    seed : int
        Seed of the record order.
    workers : int
        Number of threads; all cores if 0.

    Returns
    -------
    list of str
        Paths that could not be read; they are not in the database.

    Raises
    ------
    AgeGenderError
        If none of the images can be read.
    """
    malloc.retain_freed_memory()
    broken, number, order = [], 0, iter(np.random.default_rng(seed).permutation(len(faces)).tolist())
    chunks = iter(lambda: list(islice(order, _CHUNK)), [])
    workers = workers or cores()

    def work(chunk):
        return [_record(faces[index], root, size) for index in chunk]

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # parallel over images, not within one
    try:
        with create_db(target, "lmdb", overwrite=True) as writer, Progress("Packing", len(faces), "faces") as bar:
            for records in ordered_map(work, chunks, workers, 3 * workers):
                for path, record in records:
                    if record is None:
                        broken.append(path)
                    else:
                        writer.put(f"{number:08d}_{path}".encode()[:_MAX_KEY_BYTES], record)
                    number += 1
                bar.step(len(records))
            if len(broken) == len(faces):
                raise AgeGenderError(f"none of {len(faces)} images can be read in '{root}', for example {broken[0]}")
    finally:
        cv2.setNumThreads(threads)
    return broken


def _record(face, root, size):
    """(path, Datum as bytes); the Datum is None if the file is not an image."""
    try:
        image = read_image(os.path.join(root, face.path))
    except ImageError:
        return face.path, None
    planes = cv2.split(cv2.resize(image, (size, size)))
    return face.path, datum.encode(np.stack(planes), face.gender, more=(face.age,))
