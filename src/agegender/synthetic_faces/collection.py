"""A folder of synthetic faces with the names and the class imbalance of UTKFace's Asian part."""

from __future__ import annotations

import datetime
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_TRINGN
from caffe.utils import atomic_io
from caffe.utils.cli.progress import Progress
from caffe.utils.safe_path import safe_path

# The real data set has 3,434 files with these age classes and genders. 46 images occur twice; of these pairs 8
# differ in age class or gender, and 4 more in the age in years only.
AGES = (929, 96, 1329, 527, 157, 115, 95, 84, 102)
GENDERS = (1575, 1859)
DUPLICATES, DUPLICATES_DIFFERING_IN_CLASS, DUPLICATES_DIFFERING_IN_AGE = 46, 8, 4
MAX_AGE = 100
JPEG_QUALITY = 92
MIN_COUNT = 20


class Face:
    """One file to write.

    Attributes
    ----------
    age : int
    gender : int
        0 male, 1 female.
    name : str
        File name.
    duplicate_of : int or None
        Index of the face whose bytes the file repeats.
    """

    def __init__(self, age: int, gender: int):
        self.age, self.gender = age, gender
        self.name = ""
        self.duplicate_of: int | None = None

    @property
    def labels(self) -> tuple[int, int]:
        """(age class, gender)."""
        age_class = AGE_TRINGN.index_of_age(self.age)
        assert age_class is not None
        return age_class, self.gender


def make(folder: str, count: int = 900, seed: int = 1, jobs: int | None = None) -> list[Face]:
    """Draw faces into a folder, which appears atomically.

    Parameters
    ----------
    folder : str
    count : int
        Number of files, at least MIN_COUNT.
    seed : int
        The bytes depend on `count` and `seed` only.
    jobs : int, optional
        Number of processes; all cores by default.
    """
    faces = plan(count, seed)
    originals = [(index, face) for index, face in enumerate(faces) if face.duplicate_of is None]
    with atomic_io.atomic_folder(folder, "agegender synthesize-faces") as temporary:
        work = [(os.path.join(temporary, face.name), face.age, face.gender, (seed, index)) for index, face in originals]
        _draw_all(work, min(jobs or os.cpu_count() or 1, 1 + len(work) // 50))
        for face in faces:
            if face.duplicate_of is not None:
                with open(os.path.join(temporary, faces[face.duplicate_of].name), "rb") as stream:
                    atomic_io.write_bytes(os.path.join(temporary, face.name), stream.read())
    return faces


def plan(count: int, seed: int) -> list[Face]:
    """Plan the faces of a collection: exact fractions of every age class and gender, and a few duplicates."""
    if count < MIN_COUNT:
        raise AgeGenderError(f"expected at least {MIN_COUNT} faces for nine age classes, received {count}")
    rng = np.random.default_rng((seed, 2**31))
    faces = []
    for index, class_count in enumerate(_largest_remainder(AGES, count)):
        genders = _largest_remainder(GENDERS, class_count)
        faces += [Face(_age(index, rng), gender) for gender in (0, 1) for _ in range(genders[gender])]
    rng.shuffle(faces)
    _plant_duplicates(faces, rng)
    _set_names(faces, rng)
    return faces


def _largest_remainder(weights, total):
    """Integers in proportion to `weights` that add up to `total`, at least one each if total allows."""
    quotas = [weight * total / sum(weights) for weight in weights]
    counts = [max(int(quota), min(1, total // len(weights))) for quota in quotas]
    order = sorted(range(len(weights)), key=lambda i: int(quotas[i]) - quotas[i])
    for k in range(max(0, total - sum(counts))):
        counts[order[k % len(order)]] += 1
    while sum(counts) > total:
        counts[counts.index(max(counts))] -= 1
    return counts


def _age(index, rng):
    low, high = AGE_TRINGN.bounds[index]
    if index == 0:  # the real data set has many children of one and two years
        return int(min(rng.geometric(0.28), 9))
    if index == 8:
        return int(min(low + rng.geometric(0.17) - 1, MAX_AGE))
    return int(rng.integers(low, high + 1))


def _plant_duplicates(faces, rng):
    """Make a few faces byte-identical to another one, some with contradicting labels, as in the real data set."""
    pairs = _scaled(DUPLICATES, len(faces))
    class_pairs = _scaled(DUPLICATES_DIFFERING_IN_CLASS, len(faces))
    age_pairs = _scaled(DUPLICATES_DIFFERING_IN_AGE, len(faces))
    free = list(rng.permutation(len(faces)))
    for k in range(pairs):
        source = free.pop()
        if k < class_pairs:
            copy = _take(free, lambda i, source=source: not _same_labels(faces, i, source))
        elif k < class_pairs + age_pairs:
            copy = _take(
                free, lambda i, source=source: _same_labels(faces, i, source) and faces[i].age != faces[source].age
            )
        else:
            copy = _take(free, lambda i, source=source: _same_labels(faces, i, source))
            if copy is not None:
                faces[copy].age = faces[source].age
        if copy is not None:
            faces[copy].duplicate_of = int(source)


def _scaled(number, count):
    return max(1, round(number * count / sum(AGES)))


def _same_labels(faces, i, source):
    return faces[i].labels == faces[source].labels


def _take(free, predicate):
    """Remove and return the first index that satisfies the predicate, or None."""
    for position, index in enumerate(free):
        if predicate(index):
            return free.pop(position)
    return None


def _set_names(faces, rng):
    """Set file names with increasing time stamps."""
    moment = datetime.datetime(2017, 1, 1)
    for face in faces:
        moment += datetime.timedelta(milliseconds=int(rng.integers(10_000, 2_000_000)))
        stamp = f"{moment:%Y%m%d%H%M%S}{moment.microsecond // 1000:03d}"
        face.name = f"{face.age}_{face.gender}_2_{stamp}.jpg.chip.jpg"


def _draw_all(work, jobs):
    with Progress("Drawing faces", len(work), "faces") as progress:
        if jobs == 1:
            for item in work:
                _draw_file(item)
                progress.step()
            return
        context = multiprocessing.get_context("spawn")  # OpenCV's threads do not survive a fork
        with safe_path(), ProcessPoolExecutor(jobs, context, _use_one_thread) as pool:
            for _ in pool.map(_draw_file, work, chunksize=8):
                progress.step()


def _use_one_thread():
    cv2.setNumThreads(1)


def _draw_file(item):
    from agegender.synthetic_faces import draw

    path, age, gender, seed = item
    encoded = cv2.imencode(".jpg", draw(age, gender == 0, seed), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    with open(path, "wb") as stream:
        stream.write(encoded.tobytes())
