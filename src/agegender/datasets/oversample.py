"""Balance classes by mirrored or noisy copies, until every class has as many faces as the largest.

The copies are JPEG files because the pipeline of 2018 works on files. Re-encoding leaves traces which
correlate with the class (rare classes have more copies), so the JPEG quality is high. Only training faces
are copied.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from agegender.datasets.sample import Sample
from caffe.data.parallel_map import cores, ordered_map
from caffe.device.image_file import read_image
from caffe.utils.cli.progress import Progress

NOISE_VARIANCE = 0.01  # for pixels on 0..1
JPEG_QUALITY = 95
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Copy(NamedTuple):
    """A copy to write: the sample it is made from, its file name, whether it is mirrored, whether it is noisy."""

    source: Sample
    name: str
    mirror: bool
    noise: bool


def plan(samples: list[Sample], class_of: Callable[[Sample], int], classes: int) -> list[Copy]:
    """Plan the copies that bring every class to exactly the size of the largest.

    Each face gets a mirrored and a noisy copy in turn; an odd deficit drops the last noisy one. From the second
    round on mirrored copies are noisy too, so that no two copies are equal.

    Parameters
    ----------
    samples : list of Sample
    class_of : callable
        Maps a sample to range(classes).
    classes : int
        Number of classes; a class without faces stays empty.
    """
    copies = []
    groups = [[sample for sample in samples if class_of(sample) == index] for index in range(classes)]
    largest = max(map(len, groups), default=0)
    for group in groups:
        for k in range(largest - len(group) if group else 0):
            face = group[(k // 2) % len(group)]
            mirror, second_round = k % 2 == 0, k // 2 >= len(group)
            copies.append(_copy(face, f"{k:06d}", mirror, noise=not mirror or second_round))
    return copies


def plan_as_original(
    samples: list[Sample], class_of: Callable[[Sample], int], classes: int, rng: random.Random
) -> list[Copy]:
    """Plan copies by AgeGenderPrediction's rule: pairs of image i % (len - 1), so an odd deficit stays one short.

    In the original a class of one image divides by zero and an empty class raises IndexError; here they use
    the one image or none.
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
    suffix = ("_flipH" if mirror else "") + ("_noise" if noise else "")
    return Copy(face, f"{stem}_{letters}{suffix}{extension}", mirror, noise)


def make(copies: list[Copy], folder: str, seed: int, jobs: int | None = None) -> None:
    """Write the copies into `folder` on `jobs` threads (all cores by default).

    The bytes depend on the seed and the file names, not on the number of threads.
    """
    os.makedirs(folder, exist_ok=True)
    if not copies:
        return
    workers = jobs or cores()
    with Progress("Over-sampling", len(copies), "copies") as progress:
        for _ in ordered_map(lambda copy: _write_copy(copy, folder, seed), copies, workers, 16 * workers):
            progress.step()


def _write_copy(copy, folder, seed):
    image = read_image(copy.source.path)
    if copy.mirror:
        image = np.ascontiguousarray(image[:, ::-1])
    if copy.noise:
        image = add_noise(image, _rng(seed, copy.name))
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    with open(os.path.join(folder, copy.name), "wb") as stream:
        stream.write(encoded.tobytes())


def add_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of mean 0 and variance NOISE_VARIANCE (pixels on 0..1) to a uint8 image, clipped."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= np.float32(255 * NOISE_VARIANCE**0.5)
    noise += image
    return np.rint(np.clip(noise, 0, 255, out=noise), out=noise).astype(np.uint8)


def _rng(seed, name):
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
