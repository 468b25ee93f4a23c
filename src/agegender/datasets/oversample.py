"""Copies of the rarer classes' faces, mirrored or noisy, until every class has as many as the largest.

The copies are JPEG files because the road of 2018 goes through files; re-encoding leaves traces which
correlate with the class (rare classes hold more copies), so they are kept at a high quality. Only the
training side is ever copied.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np

from agegender.datasets.sample import Sample
from caffe.device.image_file import read_image
from caffe.utils.progress import Progress

NOISE_VARIANCE = 0.01  # of pixels on 0..1
JPEG_QUALITY = 95
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Copy(NamedTuple):
    """A picture to be made: from which sample, under which file name, mirrored?, noisy?"""

    source: Sample
    name: str
    mirror: bool
    noise: bool


def plan(samples, class_of, classes):
    """Copies that bring each class that has faces to exactly the size of the largest.

    A mirrored and a noisy copy of each face in turn, the last one dropped on an odd deficit; from the second
    round on mirrored ones are noisy too, so that no two copies are the same picture. `class_of(sample)` is
    in range(classes); a class without faces stays empty.
    """
    copies = []
    groups = [[sample for sample in samples if class_of(sample) == index] for index in range(classes)]
    largest = max(map(len, groups), default=0)
    for group in groups:
        for k in range(largest - len(group) if group else 0):
            face = group[(k // 2) % len(group)]
            mirror, again = k % 2 == 0, k // 2 >= len(group)
            copies.append(_copy(face, "%06d" % k, mirror, noise=not mirror or again))
    return copies


def plan_as_original(samples, class_of, classes, rng):
    """Copies by AgeGenderPrediction's rule: pairs of image i % (len - 1), so an odd deficit stays one short.

    A class of one image divided by zero there and an empty one raised IndexError; here they use
    the one image, or none.
    """
    copies = []
    groups = [[sample for sample in samples if class_of(sample) == index] for index in range(classes)]
    largest = max(map(len, groups), default=0)
    for group in groups:
        for i in range((largest - len(group)) // 2 if group else 0):
            face = group[i % max(len(group) - 1, 1)]
            for mirror in (True, False):
                letters = "".join(rng.choice(_ALPHABET) for _ in range(6))
                copies.append(_copy(face, letters, mirror, noise=not mirror))
    return copies


def _copy(face, letters, mirror, noise):
    stem, extension = os.path.splitext(os.path.basename(face.path))
    kind = ("_flipH" if mirror else "") + ("_noise" if noise else "")
    return Copy(face, f"{stem}_{letters}{kind}{extension}", mirror, noise)


def make(copies, folder, seed, jobs=None):
    """Write every Copy into `folder`; the bytes depend on `seed` and names, not on `jobs` (threads)."""
    os.makedirs(folder, exist_ok=True)
    if not copies:
        return
    progress = Progress("Over-sampling", len(copies), "copies")
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool, progress:
        for _ in pool.map(lambda copy: _make_one(copy, folder, seed), copies):
            progress.step()


def _make_one(copy, folder, seed):
    picture = read_image(copy.source.path)
    if copy.mirror:
        picture = np.ascontiguousarray(picture[:, ::-1])
    if copy.noise:
        picture = add_noise(picture, _rng(seed, copy.name))
    path = os.path.join(folder, copy.name)
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    with open(path, "wb") as stream:
        stream.write(encoded)


def add_noise(picture, rng):
    """Gaussian noise of mean 0 and variance NOISE_VARIANCE on 0..1, clipped; uint8 in and out."""
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    noise *= np.float32(255 * NOISE_VARIANCE**0.5)
    noise += picture
    return np.rint(np.clip(noise, 0, 255, out=noise), out=noise).astype(np.uint8)


def _rng(seed, name):
    digest = hashlib.sha256(("%d %s" % (seed, name)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
