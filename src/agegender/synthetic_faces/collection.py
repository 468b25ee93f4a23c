"""A folder of drawn faces, named as UTKFace names its own and as unbalanced as its Asian part is."""

from __future__ import annotations

import contextlib
import datetime
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_TRINGN
from caffe.utils import atomic_io
from caffe.utils.progress import Progress

# The real set: 3,434 files, their age classes and genders; 46 pictures occur twice, and of these pairs 8
# contradict themselves in age class or gender and another 4 in the age in years only.
AGES = (929, 96, 1329, 527, 157, 115, 95, 84, 102)
GENDERS = (1575, 1859)
TWINS, TWINS_OF_TWO_CLASSES, TWINS_OF_TWO_AGES = 46, 8, 4
OLDEST = 100
JPEG_QUALITY = 92
FEWEST = 20


class Face:
    """One file to be: age, gender (0 male, 1 female), name, number of the face whose bytes it shares."""

    def __init__(self, age, gender):
        self.age, self.gender = age, gender
        self.name, self.twin_of = None, None

    @property
    def labels(self):
        """(age class, gender)."""
        return AGE_TRINGN.index_of_age(self.age), self.gender


def make(folder, count=900, seed=1, jobs=None):
    """Draw `count` faces into `folder`, which appears whole or not at all; returns the Faces.

    The bytes depend on `count` and `seed`, not on `jobs` (processes; default: all cores).
    """
    faces = plan(count, seed)
    to_draw = [(index, face) for index, face in enumerate(faces) if face.twin_of is None]
    with atomic_io.atomic_folder(folder, "agegender synthesize-faces") as temporary:
        work = [(os.path.join(temporary, face.name), face.age, face.gender, (seed, index)) for index, face in to_draw]
        _draw_all(work, min(jobs or os.cpu_count(), 1 + len(work) // 50))
        for face in faces:
            if face.twin_of is not None:
                with open(os.path.join(temporary, faces[face.twin_of].name), "rb") as stream:
                    atomic_io.write_bytes(os.path.join(temporary, face.name), stream.read())
    return faces


def plan(count, seed):
    """The Faces of a set: exact shares of every age class and gender, a few twins among them."""
    if count < FEWEST:
        raise AgeGenderError("%d faces were asked for; at least %d are needed for nine age classes" % (count, FEWEST))
    rng = np.random.default_rng((seed, 2**31))
    faces = []
    for index, share in enumerate(_shares(AGES, count)):
        genders = _shares(GENDERS, share)
        faces += [Face(_age(index, rng), gender) for gender in (0, 1) for _ in range(genders[gender])]
    rng.shuffle(faces)
    _plant_twins(faces, rng)
    _name(faces, rng)
    return faces


def _shares(weights, total):
    """Whole numbers in the ratio of `weights`, by largest remainder, at least one each where total allows."""
    quotas = [weight * total / sum(weights) for weight in weights]
    shares = [max(int(quota), min(1, total // len(weights))) for quota in quotas]
    order = sorted(range(len(weights)), key=lambda i: int(quotas[i]) - quotas[i])
    for k in range(max(0, total - sum(shares))):
        shares[order[k % len(order)]] += 1
    while sum(shares) > total:
        shares[shares.index(max(shares))] -= 1
    return shares


def _age(index, rng):
    low, high = AGE_TRINGN.bounds[index]
    if index == 0:  # the set is rich in children of one and two years
        return int(min(rng.geometric(0.28), 9))
    if index == 8:
        return int(min(low + rng.geometric(0.17) - 1, OLDEST))
    return int(rng.integers(low, high + 1))


def _plant_twins(faces, rng):
    """Make a few faces byte-identical to another one; some contradict it, in the real set's ratio."""
    pairs = _ratio(TWINS, len(faces))
    two_classes, two_ages = _ratio(TWINS_OF_TWO_CLASSES, len(faces)), _ratio(TWINS_OF_TWO_AGES, len(faces))
    free = list(rng.permutation(len(faces)))
    for k in range(pairs):
        donor = free.pop()
        if k < two_classes:
            other = _take(free, lambda i, donor=donor: faces[i].labels != faces[donor].labels)
        elif k < two_classes + two_ages:
            other = _take(
                free, lambda i, donor=donor: _same_class(faces, i, donor) and faces[i].age != faces[donor].age
            )
        else:
            other = _take(free, lambda i, donor=donor: _same_class(faces, i, donor))
            if other is not None:
                faces[other].age = faces[donor].age
        if other is not None:
            faces[other].twin_of = int(donor)


def _ratio(number, count):
    return max(1, round(number * count / sum(AGES)))


def _same_class(faces, i, donor):
    return faces[i].labels == faces[donor].labels


def _take(free, wanted):
    for position, index in enumerate(free):
        if wanted(index):
            return free.pop(position)
    return None


def _name(faces, rng):
    """Names with time stamps that rise from one face to the next."""
    moment = datetime.datetime(2017, 1, 1)
    for face in faces:
        moment += datetime.timedelta(milliseconds=int(rng.integers(10_000, 2_000_000)))
        stamp = moment.strftime("%Y%m%d%H%M%S") + "%03d" % (moment.microsecond // 1000)
        face.name = "%d_%d_2_%s.jpg.chip.jpg" % (face.age, face.gender, stamp)


def _draw_all(work, jobs):
    with Progress("Drawing faces", len(work), "faces") as progress:
        if jobs == 1:
            for item in work:
                _draw_file(item)
                progress.step()
            return
        context = multiprocessing.get_context("spawn")  # OpenCV's threads do not survive a fork
        with _safe_path(), ProcessPoolExecutor(jobs, context, _one_thread) as pool:
            for _ in pool.map(_draw_file, work, chunksize=8):
                progress.step()


@contextlib.contextmanager
def _safe_path():
    """Python's own start of a worker (`python -c`) does not look into the current directory (from Python 3.11 on)."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _one_thread():
    cv2.setNumThreads(1)


def _draw_file(item):
    from agegender.synthetic_faces import draw

    path, age, gender, seed = item
    encoded = cv2.imencode(".jpg", draw(age, gender == 0, seed), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    with open(path, "wb") as stream:
        stream.write(encoded)
