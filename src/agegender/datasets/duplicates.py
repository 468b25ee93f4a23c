"""Find byte-identical images under different names, so that no image is in both training and test."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from agegender.datasets.sample import Sample
from agegender.errors import AgeGenderError
from caffe.data.parallel_map import cores, ordered_map
from caffe.device.image_file import ImageError, decode_image, read_bytes


class Duplicates(NamedTuple):
    """Samples sorted by whether they are used, and the groups of identical images.

    Attributes
    ----------
    kept : list of Sample
        One sample per image, sorted.
    repeats : list of Sample
        Left out because the same image is kept.
    contradicting : list of Sample
        Left out because the labels of their group differ in age class or gender.
    groups : list of list of Sample
        All groups of two or more identical images.
    class_groups, age_groups : int
        How many groups differ in age class or gender, and in age in years.
    """

    kept: list[Sample]
    repeats: list[Sample]
    contradicting: list[Sample]
    groups: list[list[Sample]]
    class_groups: int
    age_groups: int


def digests(samples: list[Sample], jobs: int | None = None) -> dict[str, str]:
    """SHA-256 of every file, by path.

    Raises
    ------
    AgeGenderError
        If a file is not an image; the message lists all of them.
    """
    workers = jobs or cores()
    digest_of = dict(ordered_map(_digest, (sample.path for sample in samples), workers, 16 * workers))
    broken = [path for path, digest in digest_of.items() if digest is None]
    if broken:
        raise AgeGenderError(
            f"{len(broken)} of {len(digest_of)} files cannot be read as images; download them again or remove them:\n  "
            + "\n  ".join(broken)
        )
    return digest_of


def find(samples: list[Sample], digest_of: dict[str, str]) -> Duplicates:
    """Find the duplicates among samples; `digest_of` is the result of `digests`."""
    groups: dict[str, list[Sample]] = {}
    for sample in sorted(samples):
        groups.setdefault(digest_of[sample.path], []).append(sample)
    kept, repeats, contradicting = [], [], []
    for group in groups.values():
        if _differ(group):
            contradicting += group
        else:
            kept.append(group[0])
            repeats += group[1:]
    repeated = [group for group in groups.values() if len(group) > 1]
    class_groups = sum(_differ(group) for group in repeated)
    age_groups = sum(len({sample.age for sample in group}) > 1 for group in repeated)
    return Duplicates(sorted(kept), sorted(repeats), sorted(contradicting), repeated, class_groups, age_groups)


def _differ(group):
    return len({(sample.age_class, sample.gender) for sample in group}) > 1


def _digest(path):
    try:
        data = read_bytes(path)
        decode_image(data)
    except ImageError:
        return path, None
    return path, hashlib.sha256(data).hexdigest()
